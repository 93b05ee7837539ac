import * as oauth from 'oauth4webapi'
import { CLIENT_ID, CLIENT_SECRET, ISSUER, POST_LOGOUT_URI, REDIRECT_URI, did, visit, want } from './browser.mjs'

const issuer = new URL(ISSUER)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer))
await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' }))
did('discovery')

const client = { client_id: CLIENT_ID }
const auth = CLIENT_SECRET ? oauth.ClientSecretBasic(CLIENT_SECRET) : oauth.None()
const verifier = oauth.generateRandomCodeVerifier()
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
const link = new URL(as.authorization_endpoint)
for (const [name, value] of Object.entries({
  client_id: CLIENT_ID, redirect_uri: REDIRECT_URI, response_type: 'code', scope: 'openid email offline_access', state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
})) link.searchParams.set(name, value)
const params = oauth.validateAuthResponse(as, client, await visit(link), state)
const tokens = await oauth.processAuthorizationCodeResponse(
  as, client, await oauth.authorizationCodeGrantRequest(as, client, auth, params, REDIRECT_URI, verifier), { expectedNonce: nonce, requireIdToken: true })
did('code')

const { sub } = oauth.getValidatedIdTokenClaims(tokens)
const info = await oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, tokens.access_token))
want(info.email, 'userinfo has no email')
did('userinfo')

const refresh = async (token) => oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, auth, token))
const refreshed = await refresh(tokens.refresh_token)
want(refreshed.refresh_token && refreshed.refresh_token !== tokens.refresh_token, 'the refresh token stays the same')
did('refresh')

if (CLIENT_SECRET) {
  const told = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, refreshed.access_token))
  want(told.active && told.sub === sub, 'a good token is not active')
  did('introspection')
}

await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, refreshed.refresh_token))
await refresh(refreshed.refresh_token).then(() => want(false, 'a revoked token is good'), (e) => want(e.error === 'invalid_grant', e))
did('revocation')

const logout = new URL(as.end_session_endpoint)
for (const [name, value] of Object.entries({ id_token_hint: tokens.id_token, post_logout_redirect_uri: POST_LOGOUT_URI, state })) logout.searchParams.set(name, value)
const gone = await visit(logout)
want(gone.href.startsWith(POST_LOGOUT_URI) && gone.searchParams.get('state') === state, `sent to ${gone}`)
did('logout')
