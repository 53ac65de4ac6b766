// Run inside the page: what a person with weak eyes or a narrow screen would trip over. Handed to page.evaluate.

/** Texts whose contrast with what lies behind them is below WCAG AA, and whether the page is wider than the screen. */
export function look() {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colour = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(colour(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1]);
  };
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const weak = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    const text = walk.currentNode.data.trim();
    const style = getComputedStyle(e);
    if (!text || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || e.matches("option, :disabled, :disabled *") || e.closest("svg")) continue;
    const ground = behind(e);
    const [a, b] = [light(over(colour(style.color), ground)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) weak.set(`${e.tagName.toLowerCase()}.${e.className}`, `"${text.slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  const unnamed = [...document.querySelectorAll("input, select, textarea, button, a[href]")].filter((e) => e.checkVisibility() &&
    !(e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.getAttribute("title"))).map((e) => e.outerHTML.slice(0, 120));
  return { weak: [...weak].map(([where, what]) => `${where}: ${what}`), unnamed, wide: Math.max(0, document.documentElement.scrollWidth - innerWidth), headings: document.querySelectorAll("h1").length };
}
