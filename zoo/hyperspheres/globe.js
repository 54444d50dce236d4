// The script of globe.py, which puts it into a function of its own: no name here is global. No library, no network.
// The first half is mathematics without a document, which the tests run; start() draws one globe and listens to it.

/** A vector as seen from above the equator by `pitch`, the sphere turned by `yaw`: [right, up, towards the viewer]. */
function turned([x, y, z], yaw, pitch) {
  const across = x * Math.cos(yaw) - y * Math.sin(yaw), away = x * Math.sin(yaw) + y * Math.cos(yaw);
  const sin = Math.sin(pitch), cos = Math.cos(pitch);
  return [across, away * sin + z * cos, z * sin - away * cos];
}

/** The angle between two unit vectors, exact for small ones and for opposite ones too. */
function angleOf(a, b) {
  return 2 * Math.atan2(Math.hypot(...a.map((v, i) => v - b[i])), Math.hypot(...a.map((v, i) => v + b[i])));
}

/** Some vector at a right angle to `a`, as long as `a`; in the plane of the circle if `a` is. */
function perpendicular([x, y, z]) {
  const [p, q, r] = [x, y, z].map(Math.abs);
  const side = r <= p && r <= q ? [y, -x, 0] : q <= p ? [-z, 0, x] : [0, z, -y];
  const scale = Math.hypot(x, y, z) / (Math.hypot(...side) || 1);
  return side.map((v) => v * scale);
}

/**
 * A share of the way from a to b along the great circle, `angle` radians long. The weights are the same for the
 * shadows of unit vectors of more dimensions, if the angle is that of the vectors. Opposite ends take some great circle.
 */
function between(a, b, angle, share) {
  if (angle < 1e-3) return a.map((v, i) => v + (b[i] - v) * share);
  if (angle > Math.PI - 0.01) {
    const side = perpendicular(a), along = Math.cos(Math.PI * share), up = Math.sin(Math.PI * share);
    return side.map((v, i) => up * v + along * (share < 0.5 ? a[i] : -b[i]));
  }
  const from = Math.sin((1 - share) * angle) / Math.sin(angle), to = Math.sin(share * angle) / Math.sin(angle);
  return a.map((v, i) => from * v + to * b[i]);
}

/** [x0, y0, z0, x1, ...] as [[x0, y0, z0], ...]. */
function triples(flat) {
  return Array.from({ length: flat.length / 3 }, (_, i) => flat.slice(3 * i, 3 * i + 3));
}

/** "#rrggbb" mixed with white by a share, as "rgb(...)". */
function lightened(hex, share) {
  const mixed = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).map((v) => Math.round(v + (255 - v) * share));
  return `rgb(${mixed})`;
}

/** The colour at a share in [0, 1] of a row of "#rrggbb". */
function ramp(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1), i = Math.min(Math.floor(place), stops.length - 2);
  const mixed = [1, 3, 5].map((k) => {
    const [low, high] = [stops[i], stops[i + 1]].map((hex) => parseInt(hex.slice(k, k + 2), 16));
    return Math.round(low + (high - low) * (place - i)).toString(16).padStart(2, "0");
  });
  return "#" + mixed.join("");
}

function start(figure) {
  figure.dataset.started = "";
  figure.querySelector("[data-waiting]").remove();
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const canvas = figure.querySelector("canvas"), pen = canvas.getContext("2d");
  const [button, slider, output] = ["button", "input", "output"].map((tag) => figure.querySelector(tag));
  const legend = figure.querySelector("i");
  const frames = data.frames.map(triples), prototypes = triples(data.prototypes), last = frames.length - 1;
  const angles = data.angles.length ? data.angles
    : frames.slice(1).map((frame, f) => frame.map((b, i) => angleOf(frames[f][i], b)));
  const [low, high] = data.range, flat = data.dims === 2;
  const bases = frames[0].map((_, i) => data.values.length
    ? ramp(data.stops, high > low ? (data.values[i] - low) / (high - low) : 0.5)
    : data.colours[data.labels[i]]);
  const light = (share) => {
    const [points, classes, stops] = [bases, data.colours, data.stops].map((row) => row.map((c) => lightened(c, share)));
    return { points, classes, stops };
  };
  const onPaper = light(0), onDark = light(0.3), small = bases.length > 400 ? 2.4 : 3.4;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  let [yaw, pitch] = data.view, zoom = 1;
  let position = last, goal = last, speed = 1, playing = false;  // in frames, and frames a second
  let spinning = !calm && !flat, visible = true, asked = false, before = 0;
  let mouse = null, dragged = false, things = [];
  const touching = new Map();

  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(tick);
  }

  function tick(now) {
    const seconds = Math.min((now - before) / 1000, 0.05);
    before = now;
    asked = false;
    const turning = spinning && !mouse;
    if (turning) yaw += 0.12 * seconds;
    if (position !== goal) {
      const step = speed * seconds;
      position = Math.abs(goal - position) <= step ? goal : position + Math.sign(goal - position) * step;
      if (playing) slider.value = Math.round(position);
    }
    if (playing && position === last) play(false);
    draw();
    if (visible && (turning || position !== goal)) ask();
  }

  function play(on) {
    playing = on;
    button.textContent = on ? "Pause" : "Play";
    if (on && position === last) position = 0;
    goal = on ? last : position;
    speed = 1 / Math.min(Math.max(12 / Math.max(last, 1), 0.15), 1.2);
    ask();
  }

  function tell() {
    const frame = Math.round(position), text = data.titles[frame] ?? `frame ${frame + 1} of ${frames.length}`;
    if (output.textContent !== text) output.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }

  /** Ink, paper and whether the page is dark, as they are around the figure: a notebook need not follow the system. */
  function page() {
    const ink = getComputedStyle(figure).color, [r, g, b] = ink.match(/[\d.]+/g).map(Number);
    const dark = 0.3 * r + 0.59 * g + 0.11 * b > 128;
    let paper = dark ? "#171b21" : "#ffffff";
    for (let element = figure; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (/^rgb\(/.test(colour)) { paper = colour; break; }
    }
    return { ink, paper, dark, font: getComputedStyle(figure).fontFamily };
  }

  function draw() {
    const width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio || 1;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const { ink, paper, dark, font } = page(), colours = dark ? onDark : onPaper;
    const radius = (Math.min(width, height) / 2 - 22) * zoom;
    const place = (vector) => {
      const [right, up, depth] = turned(vector, yaw, pitch);
      return { x: width / 2 + radius * right, y: height / 2 - radius * up, depth };
    };
    const line = (from, to, colour, alpha, thick) => {
      pen.globalAlpha = alpha;
      [pen.strokeStyle, pen.lineWidth] = [colour, thick];
      pen.beginPath();
      pen.moveTo(from.x, from.y);
      pen.lineTo(to.x, to.y);
      pen.stroke();
    };
    const dot = (x, y, size, fill, edge, alpha) => {
      pen.globalAlpha = alpha;
      pen.beginPath();
      pen.arc(x, y, size, 0, 2 * Math.PI);
      if (fill) { pen.fillStyle = fill; pen.fill(); }
      if (edge) { pen.strokeStyle = edge; pen.stroke(); }
    };
    /** In front full, behind the centre paler, after a short slope. */
    const shown = (depth, pale, full) => pale + (full - pale) * Math.min(Math.max(1 + 6 * (depth + 1e-3), 0), 1);

    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.lineWidth = 1;
    dot(width / 2, height / 2, radius, null, ink, 0.4);
    const circle = (at) => {
      const ring = Array.from({ length: 73 }, (_, i) => place(at((i * Math.PI) / 36)));
      ring.slice(1).forEach((to, i) => line(ring[i], to, ink, shown(to.depth, 0.05, 0.17), 1));
    };
    for (let k = 0; k < 6 && !flat; k++) {
      const turn = (k * Math.PI) / 6, level = ((k - 2) * Math.PI) / 6;
      circle((t) => [Math.cos(turn) * Math.cos(t), Math.sin(turn) * Math.cos(t), Math.sin(t)]);
      if (k < 5) circle((t) => [Math.cos(level) * Math.cos(t), Math.cos(level) * Math.sin(t), Math.sin(level)]);
    }

    const whole = Math.min(Math.floor(position), Math.max(last - 1, 0)), share = position - whole;
    const points = share ? frames[whole].map((a, i) => between(a, frames[whole + 1][i], angles[whole][i], share))
      : frames[whole];
    const centre = { x: width / 2, y: height / 2 };
    things = points.map((point, i) => ({ ...place(point), i, colour: colours.points[i] }));
    things.push(...prototypes.map((p, i) => ({ ...place(p), i, prototype: true, colour: colours.classes[i] })));
    things.sort((a, b) => a.depth - b.depth);
    for (const { x, y, depth, prototype, colour } of things) {
      if (prototype) {
        line(centre, { x, y }, colour, shown(depth, 0.25, 0.8), 1.5);
        pen.lineWidth = 2;
        dot(x, y, 8, paper, null, 1);
        dot(x, y, 7, colour, ink, shown(depth, 0.35, 1));
      } else dot(x, y, small, colour, null, shown(depth, 0.3, 0.85));
    }
    if (legend) legend.style.background = `linear-gradient(90deg, ${colours.stops})`;
    names(width, height, font, ink, paper, shown);
    hint(width, font, ink, paper);
    tell();
  }

  /** Names beside their prototypes, the nearest first; one that would lie on another is left out. */
  function names(width, height, font, ink, paper, shown) {
    const taken = [];
    pen.font = `600 13px ${font}`;
    [pen.textBaseline, pen.textAlign, pen.lineJoin, pen.lineWidth] = ["middle", "left", "round", 3.5];
    for (const { x, y, depth, i } of things.filter((thing) => thing.prototype).reverse()) {
      const name = data.names[i].length > 18 ? data.names[i].slice(0, 17) + "…" : data.names[i];
      const long = pen.measureText(name).width, rightOf = x + 12, leftOf = x - 12 - long, top = y;
      const left = leftOf < 2 || (x >= width / 2 && rightOf + long < width - 2) ? rightOf : leftOf;
      if (x < 0 || x > width || y < 0 || y > height) continue;
      if (taken.some((box) => Math.abs(box.top - top) < 15 && left < box.right && left + long > box.left)) continue;
      taken.push({ left, right: left + long, top });
      pen.globalAlpha = shown(depth, 0.55, 1);
      [pen.strokeStyle, pen.fillStyle] = [paper, ink];
      pen.strokeText(name, left, top);
      pen.fillText(name, left, top);
    }
  }

  /** What lies under the mouse, in words: the nearest to the viewer counts. */
  function hint(width, font, ink, paper) {
    const found = mouse && !dragged && things.filter((t) => Math.hypot(t.x - mouse.x, t.y - mouse.y) < (t.prototype ? 9 : 6)).pop();
    if (!found) return;
    const words = found.prototype ? ["prototype " + data.names[found.i]] : [];
    if (!found.prototype && data.labels.length) words.push(data.names[data.labels[found.i]]);
    if (!found.prototype && data.values.length) words.push(`${data.values[found.i]} ${data.unit}`.trim());
    const text = words.join(", ");
    pen.font = `13px ${font}`;
    const long = pen.measureText(text).width + 14, left = Math.max(Math.min(found.x + 10, width - long - 2), 2);
    const top = found.y > 40 ? found.y - 34 : found.y + 12;
    [pen.globalAlpha, pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [1, paper, ink, 1];
    pen.fillRect(left, top, long, 24);
    pen.strokeRect(left, top, long, 24);
    pen.fillStyle = ink;
    pen.fillText(text, left + 7, top + 12.5);
  }

  function turn(right, down) {
    yaw += right;
    pitch = Math.min(Math.max(pitch + down, -Math.PI / 2), Math.PI / 2);
    spinning = false;
    ask();
  }

  function magnify(factor) {
    zoom = Math.min(Math.max(zoom * factor, 0.5), 8);
    spinning = false;
    ask();
  }

  const spread = () => {
    const [a, b] = [...touching.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    touching.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    dragged = false;
    mouse = { x: event.offsetX, y: event.offsetY };
    turn(0, 0);
  });
  canvas.addEventListener("pointermove", (event) => {
    mouse = { x: event.offsetX, y: event.offsetY };
    const from = touching.get(event.pointerId), apart = touching.size === 2 && spread();
    dragged ||= Boolean(from) && Math.hypot(mouse.x - from.x, mouse.y - from.y) > 1;
    if (from) touching.set(event.pointerId, { ...mouse });
    if (from && touching.size === 2) magnify(spread() / (apart || 1));
    const pixels = (Math.min(canvas.clientWidth, canvas.clientHeight) / 2 - 22) * zoom;
    if (from && touching.size === 1) turn((mouse.x - from.x) / pixels, (mouse.y - from.y) / pixels);
    ask();
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    canvas.addEventListener(name, (event) => {
      touching.delete(event.pointerId);
      dragged = false;
      if (name === "pointerleave" && event.pointerType === "mouse") mouse = null;  // what a finger touched stays named
      ask();
    });
  }
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;  // without them the page scrolls
    event.preventDefault();
    magnify(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.003)));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0),
      ArrowUp: () => turn(0, -0.1), ArrowDown: () => turn(0, 0.1),
      "+": () => magnify(1.2), "=": () => magnify(1.2), "-": () => magnify(1 / 1.2),
      Home: () => { [yaw, pitch] = data.view; zoom = 1; turn(0, 0); },
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  button.addEventListener("click", () => play(!playing));
  slider.addEventListener("input", () => {
    if (playing) play(false);
    goal = Number(slider.value);
    speed = Math.max(Math.abs(goal - position) / 0.35, 1);
    if (calm) position = goal;
    ask();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);
  new ResizeObserver(ask).observe(canvas);
  new IntersectionObserver((seen) => { visible = seen.at(-1).isIntersecting; ask(); }).observe(canvas);
  ask();
}
