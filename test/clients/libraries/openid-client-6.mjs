import * as client from 'openid-client'
import { CLIENT_ID, CLIENT_SECRET, ISSUER, POST_LOGOUT_URI, REDIRECT_URI, did, visit, want } from './browser.mjs'

const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET || undefined, CLIENT_SECRET ? undefined : client.None())
did('discovery')

const verifier = client.randomPKCECodeVerifier()
const [state, nonce] = [client.randomState(), client.randomNonce()]
const back = await visit(client.buildAuthorizationUrl(config, {
  redirect_uri: REDIRECT_URI, scope: 'openid email offline_access', state, nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
}))
const tokens = await client.authorizationCodeGrant(config, back, {
  pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
})
did('code')

const { sub } = tokens.claims()
const info = await client.fetchUserInfo(config, tokens.access_token, sub)
want(info.email, 'userinfo has no email')
did('userinfo')

const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
want(refreshed.refresh_token && refreshed.refresh_token !== tokens.refresh_token, 'the refresh token stays the same')
did('refresh')

if (CLIENT_SECRET) {
  const told = await client.tokenIntrospection(config, refreshed.access_token)
  want(told.active && told.sub === sub, 'a good token is not active')
  did('introspection')
}

await client.tokenRevocation(config, refreshed.refresh_token)
await client.refreshTokenGrant(config, refreshed.refresh_token).then(() => want(false, 'a revoked token is good'), (e) => want(e.error === 'invalid_grant', e))
did('revocation')

const gone = await visit(client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: POST_LOGOUT_URI, state }))
want(gone.href.startsWith(POST_LOGOUT_URI) && gone.searchParams.get('state') === state, `sent to ${gone}`)
did('logout')
