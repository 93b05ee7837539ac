// A page whose script signs people in: code flow with S256 and a public client. Tokens are in this module's memory and nowhere else, so a reload asks
// Gatehouse again, without a question, for whoever is signed in there.
import * as oauth from './node_modules/oauth4webapi/build/index.js'

const { issuer, clientId } = document.documentElement.dataset
const client = { client_id: clientId }
const here = location.origin + location.pathname // a redirect URI of the client, and a web origin
const options = { [oauth.allowInsecureRequests]: issuer.startsWith('http://localhost:') } // https everywhere else

let provider // metadata
let tokens // access_token, refresh_token, id_token
let expires // of the access token, in milliseconds
let person // claims of the ID token

// begin sends the browser to Gatehouse. What the answer is checked against stays in this tab's storage until it is here; it is no token.
async function begin(prompt) {
  const kept = { state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce(), verifier: oauth.generateRandomCodeVerifier() }
  sessionStorage.setItem('sign-in', JSON.stringify(kept))
  const link = new URL(provider.authorization_endpoint)
  for (const [name, value] of Object.entries({
    client_id: clientId, redirect_uri: here, response_type: 'code', scope: 'openid email offline_access', state: kept.state, nonce: kept.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(kept.verifier), code_challenge_method: 'S256', ...prompt,
  })) link.searchParams.set(name, value)
  location.assign(link)
}

// finish takes the answer that the page was opened with.
async function finish(answer) {
  history.replaceState(null, '', here)
  const kept = JSON.parse(sessionStorage.getItem('sign-in') ?? '{}')
  sessionStorage.removeItem('sign-in')
  const params = oauth.validateAuthResponse(provider, client, answer, kept.state ?? oauth.expectNoState)
  const response = await oauth.authorizationCodeGrantRequest(provider, client, oauth.None(), params, here, kept.verifier, options)
  const granted = await oauth.processAuthorizationCodeResponse(provider, client, response, { expectedNonce: kept.nonce, requireIdToken: true })
  person = oauth.getValidatedIdTokenClaims(granted)
  keep(granted)
}

function keep(answer) {
  tokens = { ...tokens, ...answer }
  expires = Date.now() + answer.expires_in * 1000
}

// accessToken returns one that is good for a while. A refresh token works once, and using it twice ends the session: whoever asks meanwhile waits for
// the same refresh.
let refreshing
async function accessToken() {
  if (Date.now() > expires - 30_000) await (refreshing ??= refresh().finally(() => { refreshing = undefined }))
  return tokens.access_token
}

async function refresh() {
  const response = await oauth.refreshTokenGrantRequest(provider, client, oauth.None(), tokens.refresh_token, options)
  keep(await oauth.processRefreshTokenResponse(provider, client, response))
}

async function profile() {
  const response = await oauth.userInfoRequest(provider, client, await accessToken(), options)
  return oauth.processUserInfoResponse(provider, client, person.sub, response)
}

function signOut() {
  const link = new URL(provider.end_session_endpoint)
  link.searchParams.set('id_token_hint', tokens.id_token)
  link.searchParams.set('post_logout_redirect_uri', here)
  location.assign(link)
}

function show(status) {
  document.getElementById('status').textContent = status
  for (const [id, shown] of [['sign-in', !tokens], ['profile', tokens], ['sign-out', tokens]]) document.getElementById(id).hidden = !shown
}

// failed says what went wrong. A refresh token that is not good any more, and an access token of a session that ended, are no fault: nobody is signed in.
function failed(error) {
  const over = ['login_required', 'invalid_grant'].includes(error.error) || (tokens && error.status === 401)
  if (over) tokens = undefined
  show(over ? 'You are not signed in.' : `That did not work: ${error.message}`)
}

document.getElementById('sign-in').onclick = () => begin().catch(failed)
document.getElementById('sign-out').onclick = signOut
document.getElementById('profile').onclick = async () => {
  try {
    document.getElementById('answer').textContent = JSON.stringify(await profile(), null, 2)
  } catch (error) {
    failed(error)
  }
}

try {
  const at = new URL(issuer)
  provider = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, options))
  const answer = new URL(location)
  if (answer.searchParams.has('state')) {
    await finish(answer)
    show(`You are signed in as ${person.email}.`)
  } else {
    await begin({ prompt: 'none' })
  }
} catch (error) {
  failed(error)
}
