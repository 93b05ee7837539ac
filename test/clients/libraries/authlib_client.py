"""Python's authlib, with the flow of openid-client-6.mjs."""
import os
import secrets

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

E = os.environ
ISSUER, SECRET = E["ISSUER"], E.get("CLIENT_SECRET") or None


def visit(link):
    response = requests.get(link, headers={"Cookie": E["COOKIE"]}, allow_redirects=False)
    assert response.status_code == 303, (link, response.status_code, response.text)
    return response.headers["Location"]


metadata = requests.get(ISSUER + "/.well-known/openid-configuration").json()
assert metadata["issuer"] == ISSUER
print("discovery")

client = OAuth2Session(
    E["CLIENT_ID"], SECRET, scope="openid email offline_access", redirect_uri=E["REDIRECT_URI"], code_challenge_method="S256",
    token_endpoint_auth_method="client_secret_basic" if SECRET else "none",
)
verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
link, state = client.create_authorization_url(metadata["authorization_endpoint"], nonce=nonce, code_verifier=verifier)
tokens = client.fetch_token(metadata["token_endpoint"], authorization_response=visit(link), code_verifier=verifier, state=state)
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"]).json())
token = jwt.decode(tokens["id_token"], keys, algorithms=metadata["id_token_signing_alg_values_supported"])
claims = CodeIDToken(
    token.claims, token.header, options={"iss": {"value": ISSUER}, "aud": {"value": E["CLIENT_ID"]}},
    params={"nonce": nonce, "client_id": E["CLIENT_ID"], "access_token": tokens["access_token"]},
)
claims.validate()
print("code")

info = client.get(metadata["userinfo_endpoint"]).json()
assert info["sub"] == claims["sub"] and info["email"], info
print("userinfo")

refreshed = client.refresh_token(metadata["token_endpoint"], refresh_token=tokens["refresh_token"])
assert refreshed["refresh_token"] != tokens["refresh_token"]
print("refresh")

if SECRET:
    told = client.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"], token_type_hint="access_token").json()
    assert told["active"] and told["sub"] == claims["sub"], told
    print("introspection")

assert client.revoke_token(metadata["revocation_endpoint"], token=refreshed["refresh_token"], token_type_hint="refresh_token").status_code == 200
try:
    client.refresh_token(metadata["token_endpoint"], refresh_token=refreshed["refresh_token"])
    raise AssertionError("a revoked token is good")
except OAuthError as e:
    assert e.error == "invalid_grant", e
print("revocation")

logout = requests.Request("GET", metadata["end_session_endpoint"], params={
    "id_token_hint": tokens["id_token"], "post_logout_redirect_uri": E["POST_LOGOUT_URI"], "state": state,
}).prepare().url
gone = visit(logout)
assert gone.startswith(E["POST_LOGOUT_URI"]) and "state=" + state in gone, gone
print("logout")
