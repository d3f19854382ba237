// Steering with the hand on the picture: drag, and the camera moves that way, faster the further from where the drag
// began; the wheel zooms a little with each notch, two fingers zoom while they are apart or together; a click says where
// the middle shall be. What the camera cannot do is not taken.
//
// A drag is one that has left its place; a click is told from the first half of a double click by waiting for the second.
// Whatever ends a movement ends the gesture: a hand that goes on has to be lifted first.
const SLOP = 8; // pixels around where a drag began: there it is a click, or stands still
const FULL_SPEED = 0.35; // of the shorter side, from there
const SLOWEST = 0.1;
const STEPS = 20; // speeds there are: not each pixel is another one
const DOUBLE_CLICK = 280; // ms
const PULSE = 250; // ms of zooming for a notch of the wheel, from when the camera has heard of it
const LONGEST_PULSE = 1000; // ms, of several notches before it has
const NOTCH = [100, 3, 1]; // a notch in pixels, lines and pages; half of one is enough
const STILL = { pan: 0, tilt: 0, zoom: 0 };

const stepped = (speed) => Math.round(speed * STEPS) / STEPS || 0; // and no -0

function speedOf(distance, player) {
  if (distance <= SLOP) return 0;
  const reach = FULL_SPEED * Math.min(player.clientWidth, player.clientHeight);
  return Math.min(1, SLOWEST + ((1 - SLOWEST) * (distance - SLOP)) / reach);
}

/* A ring where the drag began, and a line from there to the hand. */
function makeMark({ x, y }) {
  const mark = Object.assign(document.createElement("span"), { className: "steered-from" });
  mark.style.left = `${x}px`;
  mark.style.top = `${y}px`;
  document.body.append(mark);
  return mark;
}

/* can: a set of pan_tilt, zoom, center. allowed(): whether the picture steers now. center(event): a click was made.
   zoomSpeed(): of the wheel, up to 1. It ends with the signal. */
export function steerOnPicture(player, { movement, can, allowed, center, zoomSpeed, signal }) {
  const fingers = new Map(); // pointer → {from, to}, as {x, y}
  let gesture = null; // {moved, over, began: the fingers' distance}: from the first finger to the last
  let clicking = 0;
  let pulse = null; // {direction, left: ms, answered}
  let pulsing = 0;

  const place = ({ clientX: x, clientY: y }) => ({ x, y });
  const apart = () => {
    const [a, b] = [...fingers.values()].map((finger) => finger.to);
    return Math.hypot(a.x - b.x, a.y - b.y);
  };

  function drag() {
    const [{ from }] = fingers.values();
    const mark = makeMark(from);
    const way = () => {
      const [{ to }] = fingers.values();
      return { x: to.x - from.x, y: to.y - from.y };
    };
    return {
      speeds() {
        const { x, y } = way();
        const distance = Math.hypot(x, y);
        mark.style.setProperty("--length", `${distance}px`);
        mark.style.setProperty("--angle", `${Math.atan2(y, x)}rad`);
        const speed = speedOf(distance, player);
        if (!speed) return STILL;
        return { pan: stepped((x / distance) * speed), tilt: stepped((-y / distance) * speed), zoom: 0 };
      },
      ended() {
        mark.remove();
        gesture.over = true;
      },
    };
  }

  function pinch() {
    return {
      speeds() {
        const further = apart() - gesture.began;
        return { pan: 0, tilt: 0, zoom: stepped(Math.sign(further) * speedOf(Math.abs(further), player)) };
      },
      ended() {
        gesture.over = true;
      },
    };
  }

  function move() {
    if (gesture.over) return;
    if (gesture.held) return movement.change();
    const two = fingers.size === 2;
    const [{ from, to }] = fingers.values();
    const far = two ? Math.abs(apart() - gesture.began) : Math.hypot(to.x - from.x, to.y - from.y);
    if (far <= SLOP) return;
    gesture.moved = true;
    if (!can.has(two ? "zoom" : "pan_tilt")) return;
    gesture.held = two ? pinch() : drag();
    movement.begin(gesture.held);
  }

  const letGo = () => gesture.held && movement.held === gesture.held && movement.end();

  function press(event) {
    clearTimeout(clicking);
    const on = event.composedPath()[0];
    if (!allowed() || event.button !== 0 || on.closest("button, select, input") || event.target !== player) return;
    if (fingers.size === 2) return;
    player.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { from: place(event), to: place(event) });
    const two = fingers.size === 2;
    if (two) letGo(); // a drag that gets a second finger is over
    gesture = { moved: two, over: false, held: null, began: two ? apart() : 0 };
  }

  function lift(event) {
    if (!fingers.has(event.pointerId)) return;
    // What a finger touches within the player has it at first, and loses it to the player.
    if (event.type === "lostpointercapture" && player.hasPointerCapture(event.pointerId)) return;
    letGo();
    fingers.delete(event.pointerId);
    const { moved } = gesture;
    gesture.over = true;
    if (event.type !== "pointerup" || moved || fingers.size || !can.has("center")) return;
    clicking = setTimeout(() => center(event), DOUBLE_CLICK);
  }

  function zoomOn(direction) {
    if (pulse && pulse.direction !== direction) movement.end();
    if (!pulse) {
      const begun = { direction, left: 0, answered: false };
      pulse = begun;
      movement.begin({
        speeds: () => ({ pan: 0, tilt: 0, zoom: direction * zoomSpeed() }),
        answered() {
          if (begun.answered) return;
          begun.answered = true;
          pulsing = setTimeout(() => movement.end(), begun.left);
        },
        ended() {
          clearTimeout(pulsing);
          pulse = null;
        },
      });
    }
    pulse.left = Math.min(LONGEST_PULSE, pulse.left + PULSE);
    if (!pulse.answered) return;
    clearTimeout(pulsing);
    pulsing = setTimeout(() => movement.end(), PULSE);
  }

  let turned = 0; // notches of the wheel
  function wheel(event) {
    if (!allowed() || !can.has("zoom") || event.ctrlKey) return; // with Ctrl the page is zoomed
    event.preventDefault();
    if (movement.held && !pulse) return;
    const notches = -event.deltaY / NOTCH[event.deltaMode];
    turned = Math.sign(notches) === Math.sign(turned) ? turned + notches : notches;
    if (Math.abs(turned) < 0.5) return;
    zoomOn(Math.sign(turned));
    turned = 0;
  }

  player.dataset.steers = [...can].join(" ");
  player.addEventListener("pointerdown", press, { signal });
  player.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    finger.to = place(event);
    move();
  }, { signal });
  for (const over of ["pointerup", "pointercancel", "lostpointercapture"]) player.addEventListener(over, lift, { signal });
  player.addEventListener("wheel", wheel, { signal, passive: false });
  player.addEventListener("dblclick", () => clearTimeout(clicking), { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(clicking);
    delete player.dataset.steers;
  });
}
