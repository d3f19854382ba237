// Asking the product's API from a page, as who is signed in. What goes wrong comes as an Error with the sentence to show.
const LONGEST = 30000; // ms

export async function call(method, path, body, { keepalive = false, longest = LONGEST } = {}) {
  const headers = { Accept: "application/json", ...JSON.parse(document.body.getAttribute("hx-headers")) };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      keepalive,
      signal: AbortSignal.timeout(longest),
    });
  } catch {
    throw new Error("The server did not answer. It may be restarting; try again in a moment.");
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new Error(answer?.error ?? `The server refused (${response.status}).`);
}
