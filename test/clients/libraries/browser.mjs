// What the programs of this folder have in common: who they are, and the browser of a person who is signed in.
export const { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, POST_LOGOUT_URI, COOKIE } = process.env

// visit follows one link as the person's browser does, and returns where it is sent.
export async function visit(link) {
  const response = await fetch(link, { redirect: 'manual', headers: { cookie: COOKIE } })
  const location = response.headers.get('location')
  if (response.status !== 303 || !location) throw new Error(`${link} answers ${response.status}: ${await response.text()}`)
  return new URL(location, link)
}

// want ends the program unless something holds.
export function want(holds, what) {
  if (!holds) throw new Error(what)
}

// did tells the test what was done.
export function did(step) {
  console.log(step)
}
