// One number over time under the band: an angle, a speed, where a joint is; with the frame marked and its value told.

class Graph {
  constructor(box) {
    this.box = box;
    this.canvas = box.querySelector("canvas");
    this.select = box.querySelector("select");
    this.value = box.querySelector("output");
    this.playhead = box.querySelector(".playhead");
    this.select.addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(box);
  }

  // What can be drawn of a person: the signals that the page carries, and where each joint is and how fast.
  choose(motion, body) {
    this.motion = motion;
    const joints = motion.skeleton.joints.map((name, joint) => [name.replace("_", " "), joint]);
    const along = (axis, sign = 1) => joint => frame => sign * body.points[(frame * motion.joints + joint) * 3 + axis];
    const groups = [
      ["Measures", motion.signals.map(signal => [signal.name, signal.unit, null, signal])],
      ["Speed", joints.map(([name, joint]) => [`${name} speed`, "m/s", frame => this.speed(body, joint, frame)])],
      ["Height", joints.map(([name, joint]) => [`${name} height`, "m", along(1)(joint)])],
      ["Across", joints.map(([name, joint]) => [`${name} across`, "m", along(0)(joint)])],
      ["Away", joints.map(([name, joint]) => [`${name} away`, "m", along(2, -1)(joint)])],
      ["Uncertainty", joints.map(([name, joint]) => [`${name} uncertainty`, "mm", frame => motion.spread_mm[frame * motion.joints + joint]])],
    ].filter(([, items]) => items.length);
    const chosen = this.lines ? this.select.value : motion.graph;
    this.lines = new Map(groups.flatMap(([, items]) => items.map(([name, unit, at, signal]) => [name, {unit, at, signal}])));
    this.select.replaceChildren(element("option", {value: ""}, "Graph: none"), ...groups.map(([label, items]) =>
      element("optgroup", {label}, ...items.map(([name]) => element("option", {value: name}, name)))));
    this.select.value = this.lines.has(chosen) ? chosen : "";
    this.draw();
  }

  speed(body, joint, frame) {
    const {time_s: time, frames} = this.motion, before = Math.max(0, frame - 1), after = Math.min(frames - 1, frame + 1);
    const way = body.joint(after, joint).sub(body.joint(before, joint)).length();
    return after > before ? way / (time[after] - time[before]) : 0;
  }

  draw() {
    const line = this.lines?.get(this.select.value);
    this.box.classList.toggle("empty", !line);
    if (!line) return;
    if (!line.at) return void this.open(line);
    const {canvas, motion} = this, ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    const values = Float64Array.from({length: motion.frames}, (_, frame) => line.at(frame));
    const known = values.filter(Number.isFinite), low = Math.min(...extent(known)), high = Math.max(...extent(known));
    const room = Math.max(high - low, 1e-6), pad = 5 * ratio;
    const draw = canvas.getContext("2d");
    draw.clearRect(0, 0, width, height);
    const across = frame => frame / Math.max(1, motion.frames - 1) * width;
    draw.fillStyle = "#8d97a5";
    for (const {time_s: time} of motion.events) draw.fillRect(Math.round(across(frameAt(motion, time + 0.5 / motion.fps))), 0, ratio, height);
    draw.strokeStyle = "#1f2733";
    draw.lineWidth = 1.5 * ratio;
    draw.lineJoin = "round";
    draw.beginPath();
    let pen = false;
    values.forEach((value, frame) => {
      if (!Number.isFinite(value)) return void (pen = false);
      const x = across(frame), y = height - pad - (value - low) / room * (height - 2 * pad);
      if (pen) draw.lineTo(x, y); else draw.moveTo(x, y);
      pen = true;
    });
    draw.stroke();
    this.box.querySelector(".high").textContent = label(high, line.unit);
    this.box.querySelector(".low").textContent = label(low, line.unit);
    this.values = values;
    if (this.frame !== undefined) this.show(this.frame);
  }

  // A measure is unpacked when it is asked for: there are many, and few are looked at.
  async open(line) {
    const values = await unpack(line.signal.values);
    line.at = frame => values[frame];
    this.draw();
  }

  show(frame) {
    this.frame = frame;
    const line = this.lines?.get(this.select.value);
    if (!line?.at) return;
    this.playhead.style.left = `${frame / Math.max(1, this.motion.frames - 1) * 100}%`;
    this.value.textContent = label(this.values[frame], line.unit);
  }
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 0];
}

const label = (value, unit) => Number.isFinite(value) ? `${value.toFixed(unit === "m" || unit === "m/s" ? 2 : 0)} ${unit}` : "–";
