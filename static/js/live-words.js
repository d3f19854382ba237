// What live pictures are told about in words: the states, with their icon and colour, and why a socket was closed.

// state: [word, tone, icon]
export const STATES = {
  connecting: ["Connecting", "idle", "refresh-cw"],
  live: ["Live", "good", "play"],
  stalled: ["Stalled", "warn", "triangle-alert"],
  offline: ["No connection", "bad", "wifi-off"],
  hidden: ["Paused", "idle", "pause"],
  paused: ["Paused", "idle", "pause"],
  refused: ["Refused", "bad", "ban"],
  error: ["Trouble", "bad", "octagon-alert"],
};

export const DEFAULTS = { connecting: "Connecting …", stalled: "The camera sends no pictures." };

const LOST = "The connection to the server was lost.";
const CLOSED = {
  1000: "The server ended the picture.",
  1001: "The server is stopping.",
  1002: "The server and this browser did not understand each other.",
  1003: "The server was sent something it does not take.",
  1006: LOST,
  1007: "The server was sent something it cannot read.",
  1008: "The server does not allow this connection.",
  1009: "A message was larger than allowed.",
  1011: "Something went wrong on the server.",
  1012: "The server is restarting.",
  1013: "The server asks to try again in a moment.",
  1014: "A proxy on the way could not reach the server.",
  1015: "The encryption of the connection failed.",
  4400: "This player asked for something the server does not know.",
  4401: "You are signed out. Sign in again to go on watching.",
  4403: "You may see this camera, but not watch it.",
  4404: "There is no such camera, or you may not see it.",
  4409: "The camera refuses to send pictures.",
  4422: "This camera cannot be shown here.",
};
// After these, trying again by itself cannot help.
const FINAL = new Set([4400, 4422]);
const SIGNED_OUT = 4401;
const DEVICE_REFUSES = 4409;
// After these nothing of the camera may be seen any more, until the right to see it is given back.
const WITHDRAWN = new Set([SIGNED_OUT, 4403, 4404]);

/* Why a socket was closed: {sentence, state, final, patient, withdrawn}; patient: not worth trying again soon. */
export function closed({ code, reason }) {
  const final = FINAL.has(code);
  const withdrawn = WITHDRAWN.has(code);
  const refused = final || withdrawn || code === DEVICE_REFUSES;
  const sentence = reason || CLOSED[code] || `The server ended the picture (${code}).`;
  const patient = code === DEVICE_REFUSES || code === SIGNED_OUT;
  return { sentence, state: refused ? "refused" : "offline", final, patient, withdrawn };
}

const CODECS = [
  [/^avc/, "H.264"],
  [/^(hvc|hev)/, "H.265"],
  [/^mp4a/, "AAC"],
  [/^opus/, "Opus"],
  [/^flac/i, "FLAC"],
];

/* avc1.64001f → H.264 */
export const codecName = (codec) => CODECS.find(([form]) => form.test(codec))?.[1] ?? codec;

export function ageInWords(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}
