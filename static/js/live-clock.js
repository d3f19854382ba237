// How far this computer's clock is from the server's, for telling how old a picture is. Measured once somebody wants to
// know and then now and then: of a few quick questions the quickest answer is the truest, as its way was the shortest.

const QUESTIONS = 5;
const BETWEEN = 150; // ms
const AGAIN = 120_000; // ms
const PATIENCE = 3000; // ms

let offset = null; // ms to add to this computer's clock
let measuredAt = -Infinity;
let measuring = false;

const precisely = () => performance.timeOrigin + performance.now();

async function ask() {
  const before = precisely();
  const response = await fetch("/live/clock/", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  const after = precisely();
  const { now } = await response.json();
  return { way: after - before, offset: now * 1000 - (before + after) / 2 };
}

async function measure() {
  measuring = true;
  try {
    const answers = [];
    for (let i = 0; i < QUESTIONS; i++) {
      answers.push(await ask());
      await new Promise((done) => setTimeout(done, BETWEEN));
    }
    answers.sort((a, b) => a.way - b.way);
    offset = answers[0].offset;
  } catch {
    // The clocks are taken to agree until the server answers.
  }
  measuredAt = performance.now();
  measuring = false;
}

/* What the server's clock shows now, in ms. */
export function serverNow() {
  if (!measuring && performance.now() - measuredAt > AGAIN) measure();
  return precisely() + (offset ?? 0);
}

/* How far the clocks are apart in ms; null while that is not known. */
export const clockOffset = () => offset;
