/** The one inline style of every page. Colours keep WCAG AA contrast in both schemes. */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: #fafafa; --card: #fff; --line: #e4e4e7; --text: #18181b; --quiet: #5b5b66; --inset: #f7f7f8;
  --good: #15803d; --good-ground: #dcfce7; --bad: #b91c1c; --bad-ground: #fee2e2; --note: #52525b; --note-ground: #f0f0f2;
  --monospace: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  --shadow: 0 1px 2px rgb(0 0 0 / 4%), 0 12px 32px -8px rgb(0 0 0 / 10%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #09090b; --card: #121214; --line: #2a2a2e; --text: #fafafa; --quiet: #a1a1aa; --inset: #18181b;
    --good: #4ade80; --good-ground: #0f2a1a; --bad: #f87171; --bad-ground: #331415; --note: #a1a1aa; --note-ground: #222226;
    --shadow: 0 0 0 transparent;
  }
}
* { box-sizing: border-box; margin: 0; }
html { height: 100%; }
body {
  min-height: 100%; display: flex; flex-direction: column; align-items: center; justify-content: center;
  padding: 24px 16px; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  -webkit-font-smoothing: antialiased;
}
main {
  width: 100%; max-width: 440px; padding: 40px 40px 36px; text-align: center; overflow-wrap: anywhere;
  background: var(--card); border: 1px solid var(--line); border-radius: 16px; box-shadow: var(--shadow);
}
.mark { display: block; width: 56px; height: 56px; margin: 0 auto 24px; }
.mark circle { fill: var(--note-ground); }
.mark path { fill: none; stroke: var(--note); stroke-width: 2.5; stroke-linecap: round; stroke-linejoin: round; }
.good circle { fill: var(--good-ground); }
.good path { stroke: var(--good); }
.bad circle { fill: var(--bad-ground); }
.bad path { stroke: var(--bad); }
h1 { font-size: 22px; line-height: 1.25; font-weight: 600; letter-spacing: -0.015em; text-wrap: balance; }
p { margin-top: 12px; color: var(--quiet); text-wrap: balance; }
dl, .terminal { margin-top: 24px; border: 1px solid var(--line); border-radius: 10px; text-align: left; font-size: 14px; }
dl div { display: flex; gap: 16px; justify-content: space-between; padding: 11px 16px; }
dl div + div { border-top: 1px solid var(--line); }
dt { flex: none; color: var(--quiet); }
dd { min-width: 0; font-weight: 500; text-align: right; }
.terminal { padding: 8px 16px; background: var(--inset); font: 13px/1.6 var(--monospace); }
.terminal p { margin: 6px 0; color: var(--text); text-wrap: wrap; }
.terminal b { font-weight: 600; }
.terminal .error { color: var(--bad); }
.close { margin-top: 24px; font-size: 14px; }
footer { margin-top: 20px; color: var(--quiet); font: 13px/1.5 var(--monospace); }
@media (max-width: 480px) {
  main { padding: 32px 20px 28px; border-radius: 12px; }
  dl div { display: block; }
  dd { text-align: left; }
}
@media (prefers-reduced-motion: no-preference) {
  main { animation: arrive 240ms ease-out; }
  .mark path { stroke-dasharray: 32; animation: draw 420ms 160ms ease-out backwards; }
  @keyframes arrive { from { opacity: 0; transform: translateY(6px); } }
  @keyframes draw { from { stroke-dashoffset: 32; } }
}
@media (forced-colors: active) { .mark path { stroke: CanvasText; } }
`;
