// A client of the platform's API, of nothing but the generated code. It ends with 0 when everything was as the document says.
import assert from 'node:assert/strict';
import { createClient } from './generated/client/index.js';
import { getMe, listUsers, signIn, updateUser, watchUsers } from './generated/sdk.gen.js';
import type { Problem, User, WatchUsersResult } from './generated/types.gen.js';

const { GATEHOUSE_URL: baseUrl, GATEHOUSE_EMAIL: email, GATEHOUSE_PASSWORD: password } = process.env;
assert(baseUrl && email && password, 'set GATEHOUSE_URL, GATEHOUSE_EMAIL and GATEHOUSE_PASSWORD');

/** refused is the problem document of a call that must fail. */
function refused(result: { error?: Problem; response?: Response }, status: number, reason: string): Problem {
  assert(result.error, `want ${reason}, got an answer`);
  assert.equal(result.response?.status, status);
  assert.equal(result.error.status, status);
  assert.equal(result.error.reason, reason);
  return result.error;
}

const anybody = createClient({ baseUrl });
refused(await signIn({ client: anybody, body: { email, password: 'not the password' } }), 401, 'INVALID_CREDENTIALS');
refused(await listUsers({ client: anybody }), 401, 'TOKEN_REQUIRED');

const session = await signIn({ client: anybody, body: { email, password }, throwOnError: true });
const token: string = session.data.access_token;
const client = createClient({ baseUrl, auth: () => token });

const me: User | null = (await getMe({ client, throwOnError: true })).data.user;
assert.equal(me?.email, email);

let found = false;
for (let page_token = ''; ; ) {
  const { data } = await listUsers({ client, query: { page_size: 1, page_token }, throwOnError: true });
  found ||= data.users.some((user) => user.id === me.id);
  page_token = data.next_page_token;
  if (page_token === '') break;
}
assert(found, 'the list of users does not have the caller');

refused(
  await updateUser({ client, path: { id: me.id }, headers: { 'If-Match': '"stale"' }, body: { display_name: 'Ada' } }),
  412, 'ETAG_MISMATCH');
const invalid = refused(await listUsers({ client, query: { organization_id: 'none' } }), 400, 'INVALID_ARGUMENT');
assert.equal(invalid.errors?.[0]?.field, 'organization_id');

const changed = await updateUser({ client, path: { id: me.id }, body: { display_name: 'Ada' }, throwOnError: true });
assert.equal(changed.data.display_name, 'Ada');
assert.match(changed.response.headers.get('ETag') ?? '', /^"[!#-~]+"$/);

// A stream is read as it comes, line by line.
const stop = new AbortController();
const watch = await watchUsers({ client, parseAs: 'stream', signal: stop.signal, throwOnError: true });
const body = watch.response.body?.getReader();
assert(body, 'the stream has no body');
const decoder = new TextDecoder();
let text = '';
while (!text.includes('\n')) {
  const { done, value } = await body.read();
  assert(!done, 'the stream ended before a line');
  text += decoder.decode(value, { stream: true });
}
const first: WatchUsersResult = JSON.parse(text.slice(0, text.indexOf('\n')));
assert(first.cursor, 'the first message has no cursor');
stop.abort();
console.log('signed in, listed, watched and was refused as the document says');
