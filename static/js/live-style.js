// How <live-player> looks. What lies on the picture is white on dark in every theme: the picture is what it is.

export const sheet = new CSSStyleSheet();
sheet.replaceSync(`
  :host { display: block; position: relative; overflow: hidden; container-type: inline-size; background: #000; color: #fff;
    font: 500 0.875rem/1.4 var(--font, system-ui, sans-serif); font-variant-numeric: tabular-nums; }
  :host([hidden]), [hidden] { display: none !important; }
  :host(:focus-visible) { outline: 2px solid var(--focus, #6cb0ff); outline-offset: -2px; }
  video, canvas { position: absolute; inset: 0; display: block; inline-size: 100%; block-size: 100%; object-fit: contain; }
  canvas { pointer-events: none; background: #000; }
  :host([data-state="offline"]:not([data-picture])), :host([data-state="refused"]:not([data-picture])),
  :host([data-state="error"]:not([data-picture])) {
    background: repeating-linear-gradient(135deg, transparent 0 12px, #15191f 12px 24px) #0d1014; }
  :host(:not([data-picture])) video { visibility: hidden; }
  :host([data-stale])::after { content: ""; position: absolute; inset: 0; border: 3px solid #ff5c5c; pointer-events: none; }

  .icon { inline-size: 1.2em; block-size: 1.2em; flex: none; fill: none; stroke: currentColor; stroke-width: 2;
    stroke-linecap: round; stroke-linejoin: round; }
  .bar { position: absolute; inset-inline: 0; display: flex; align-items: center; gap: 0.4rem; padding: 0.35rem 0.5rem;
    pointer-events: none; min-inline-size: 0; text-shadow: 0 0 3px #000; }
  .top { inset-block-start: 0; padding-block-end: 1.1rem; background: linear-gradient(rgb(0 0 0 / 78%), rgb(0 0 0 / 45%) 60%, transparent); }
  .foot { inset-block-end: 0; padding-block-start: 1rem; justify-content: space-between; color: #e4e8ec; font-size: 0.8rem;
    background: linear-gradient(transparent, rgb(0 0 0 / 45%) 40%, rgb(0 0 0 / 78%)); white-space: nowrap; }
  .foot span { overflow: hidden; text-overflow: ellipsis; min-inline-size: 0; }
  .foot span + span { flex: none; }
  .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-inline-size: 3ch; font-weight: 650; }
  .chips { display: flex; gap: 0.3rem; flex: none; }
  .chip { display: inline-flex; align-items: center; gap: 0.3em; padding: 0.05em 0.45em; border: 1px solid currentColor;
    border-radius: 4px; background: #0b0e12; font-size: 0.75rem; font-weight: 600; white-space: nowrap; text-shadow: none; }
  .good { color: #4ddb91; } .warn { color: #f7be4b; } .bad { color: #ff8a8a; } .idle { color: #cdd5dd; } .sim { color: #c9a8ff; }
  .stale { border-color: #b3261e; background: #b3261e; color: #fff; font-size: 0.8rem; font-weight: 700; }
  .busy .icon { animation: turn 1.4s linear infinite; }
  @keyframes turn { to { rotate: 1turn; } }
  @media (prefers-reduced-motion: reduce) { .busy .icon { animation: none; } }

  .tools { display: flex; align-items: center; gap: 0.1rem; margin-inline-start: auto; pointer-events: auto; flex: none; }
  button, select { font: inherit; color: #fff; cursor: pointer; }
  .tools button, .tools ::slotted(button) { display: grid; place-items: center; inline-size: 1.9rem; block-size: 1.9rem; padding: 0; border: 0;
    border-radius: 4px; background: none; color: #fff; font-size: 0.95rem; cursor: pointer; }
  .tools button:hover, .tools ::slotted(button:hover) { background: rgb(255 255 255 / 22%); }
  .tools button[aria-pressed="true"] { color: #8cc4ff; }
  .tools select { block-size: 1.7rem; border: 1px solid rgb(255 255 255 / 45%); border-radius: 4px; background: #14191f; font-size: 0.8rem; }
  .tools input { inline-size: 4.5rem; accent-color: #8cc4ff; }
  :is(button, select, input):focus-visible { outline: 2px solid var(--focus, #6cb0ff); outline-offset: 0; }

  .message { position: absolute; inset: auto 0 0 0; display: flex; flex-wrap: wrap; align-items: center; gap: 0.3rem 0.8rem;
    padding: 0.6rem 0.8rem; background: rgb(0 0 0 / 80%); }
  .message p { margin: 0; max-inline-size: 60ch; }
  .message .again { color: #cdd5dd; }
  .message button { padding: 0.25rem 0.8rem; border: 1px solid rgb(255 255 255 / 55%); border-radius: 4px; background: #14191f; }
  .message button:hover { background: #29323c; }
  :host(:not([data-picture])) .message { inset: 2.4rem 0 0 0; flex-direction: column; justify-content: center; text-align: center;
    background: none; padding: 0.5rem 1rem; overflow: auto; touch-action: inherit; }
  .statistics { position: absolute; inset-block-start: 2.6rem; inset-inline-end: 0.5rem; margin: 0; padding: 0.4rem 0.6rem; border-radius: 4px;
    display: grid; grid-template-columns: auto auto; gap: 0 0.8rem; background: rgb(0 0 0 / 86%); font-size: 0.75rem;
    max-block-size: calc(100% - 3rem); overflow: auto; pointer-events: none; }
  .statistics dt { color: #c3cad2; }
  .statistics dd { margin: 0; text-align: end; }

  @container (max-width: 33rem) { .sim span { display: none; } }
  /* A small picture has room for its name and its state; the rest comes at its lower edge when it is pointed at. */
  @container (max-width: 26rem) {
    .tools select, .tools input, .foot span + span { display: none; }
    .top { block-size: 100%; align-items: flex-start; padding-block-end: 0; background-size: 100% 2.6rem; background-repeat: no-repeat; }
    .tools { position: absolute; inset-block-end: 0; inset-inline-end: 0; padding: 0.1rem 0.2rem; border-start-start-radius: 5px; background: rgb(0 0 0 / 72%); }
    :host(:not(:hover, :focus-within, [selected])) .tools, :host(:is(:hover, :focus-within, [selected])) .foot { display: none; }
    .message button { padding-block: 0.1rem; }
  }
  @container (max-width: 21rem) {
    .foot { display: none; }
    .name, .message { font-size: 0.8rem; }
  }
  @media (pointer: coarse) {
    .tools button, .tools ::slotted(button) { inline-size: 2.5rem; block-size: 2.5rem; }
  }
`);
