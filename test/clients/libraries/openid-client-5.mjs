import { Issuer, generators } from 'openid-client-5'
import { CLIENT_ID, CLIENT_SECRET, ISSUER, POST_LOGOUT_URI, REDIRECT_URI, did, visit, want } from './browser.mjs'

const issuer = await Issuer.discover(ISSUER)
const client = new issuer.Client({
  client_id: CLIENT_ID, redirect_uris: [REDIRECT_URI], response_types: ['code'],
  ...(CLIENT_SECRET ? { client_secret: CLIENT_SECRET } : { token_endpoint_auth_method: 'none' }),
})
did('discovery')

const verifier = generators.codeVerifier()
const [state, nonce] = [generators.state(), generators.nonce()]
const back = await visit(client.authorizationUrl({
  scope: 'openid email offline_access', state, nonce, code_challenge: generators.codeChallenge(verifier), code_challenge_method: 'S256',
}))
const tokens = await client.callback(REDIRECT_URI, client.callbackParams(back.href), { code_verifier: verifier, state, nonce })
did('code')

const { sub } = tokens.claims()
const info = await client.userinfo(tokens)
want(info.sub === sub && info.email, 'userinfo has no email')
did('userinfo')

const refreshed = await client.refresh(tokens.refresh_token)
want(refreshed.refresh_token && refreshed.refresh_token !== tokens.refresh_token, 'the refresh token stays the same')
did('refresh')

if (CLIENT_SECRET) {
  const told = await client.introspect(refreshed.access_token)
  want(told.active && told.sub === sub, 'a good token is not active')
  did('introspection')
}

await client.revoke(refreshed.refresh_token)
await client.refresh(refreshed.refresh_token).then(() => want(false, 'a revoked token is good'), (e) => want(e.error === 'invalid_grant', e))
did('revocation')

const gone = await visit(client.endSessionUrl({ id_token_hint: tokens.id_token, post_logout_redirect_uri: POST_LOGOUT_URI, state }))
want(gone.href.startsWith(POST_LOGOUT_URI) && gone.searchParams.get('state') === state, `sent to ${gone}`)
did('logout')
