// Measures every frame of the page, and writes what it finds into the page as JSON.

const texts = "svg text, figcaption, .legend li, h1, h2, p, dt, dd, summary, th, td";
const shapes = "polyline, circle, rect.bar";

const describe = element => (element.textContent || element.outerHTML).trim().slice(0, 60);

const channels = color => color.match(/[\d.]+/g).map(Number);

function luminance(color) {
  const [r, g, b] = channels(color).map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(first, second) {
  const [a, b] = [luminance(first), luminance(second)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function background(element, win) {
  for (let at = element; at; at = at.parentElement) {
    const color = win.getComputedStyle(at).backgroundColor;
    const parts = channels(color);
    if (parts.length < 4 || parts[3] > 0) return color;
  }
  return "rgb(255, 255, 255)";
}

// The colors that may lie behind a part of a chart: its card's, and those of the phases in it.
function behind(element, win) {
  const phases = [...(element.closest("svg")?.querySelectorAll(".phase") ?? [])];
  return [background(element, win), ...phases.map(phase => win.getComputedStyle(phase).fill)];
}

function measure(frame) {
  const win = frame.contentWindow, doc = frame.contentDocument;
  const boxOf = element => ({ element, box: element.getBoundingClientRect() });
  const seen = ({ box }) => box.width > 0 && box.height > 0;
  const boxes = [...doc.querySelectorAll(texts)].filter(element => describe(element)).map(boxOf).filter(seen);
  const charts = [...doc.querySelectorAll("svg.chart")].map(boxOf).filter(seen);

  const overlaps = [];
  for (let i = 0; i < boxes.length; i++) {
    for (let j = i + 1; j < boxes.length; j++) {
      const [a, b] = [boxes[i].box, boxes[j].box];
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5
        && !boxes[i].element.contains(boxes[j].element))
        overlaps.push(`${describe(boxes[i].element)} | ${describe(boxes[j].element)}`);
    }
  }

  const empty = [], outside = [], faint = [];
  let smallest = Infinity;
  for (const { element, box } of charts) {
    const drawn = [...element.querySelectorAll(shapes)].filter(shape => {
      const size = shape.getBBox();
      return size.width > 0 || size.height > 0;
    });
    if (drawn.length === 0) empty.push(element.getAttribute("aria-label"));
    for (const part of element.querySelectorAll("text, line, polyline, circle, rect")) {
      const at = part.getBoundingClientRect();
      if (at.left < box.left - 0.5 || at.right > box.right + 0.5 || at.top < box.top - 0.5 || at.bottom > box.bottom + 0.5)
        outside.push(`${describe(part)} in ${element.getAttribute("aria-label")}`);
    }
    smallest = Math.min(smallest, parseFloat(win.getComputedStyle(element).fontSize) * box.width / element.viewBox.baseVal.width);
    for (const shape of drawn) {
      const style = win.getComputedStyle(shape), color = shape.tagName === "polyline" ? style.stroke : style.fill;
      if (behind(shape, win).some(back => contrast(color, back) < 3)) faint.push(`${shape.getAttribute("class")}: ${color}`);
    }
  }
  for (const { element } of boxes) {
    const style = win.getComputedStyle(element), color = element.tagName === "text" ? style.fill : style.color;
    if (behind(element, win).some(back => contrast(color, back) < 4.5)) faint.push(`${describe(element)}: ${color}`);
  }

  return {
    width: win.innerWidth,
    dark: win.matchMedia("(prefers-color-scheme: dark)").matches
      && luminance(win.getComputedStyle(doc.querySelector(".bn-report") ?? doc.body).backgroundColor) < 0.1,
    charts: charts.length, empty, overlaps, outside, faint: [...new Set(faint)],
    overflow: Math.max(0, doc.documentElement.scrollWidth - win.innerWidth),
    smallestText: Number.isFinite(smallest) ? smallest : 0,
  };
}

addEventListener("load", () => {
  document.querySelector("pre").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
});
