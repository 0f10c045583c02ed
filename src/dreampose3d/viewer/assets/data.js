// The motion as the page carries it, unpacked: camera frame (x right, y down, z forward), mm and px.

async function unpack({kind, step, shape, data}) {
  const bytes = await inflate(decode(data));
  const codes = kind === "int16" ? new Int16Array(bytes) : new Int32Array(bytes); // both wrap around, as pack() does
  const missing = kind === "int16" ? -(2 ** 15) : -(2 ** 31);
  const row = shape.slice(1).reduce((a, b) => a * b, 1);
  const values = new Float64Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    if (i >= row) codes[i] += codes[i - row];
    values[i] = codes[i] === missing ? NaN : codes[i] * step;
  }
  return values;
}

function decode(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Everyone on the page; the first one's clock is the page's.
const loadEveryone = json => Promise.all([json, ...json.others].map(loadMotion));

async function loadMotion(json) {
  const names = ["time_s", "root_mm", "root_relative_mm", "spread_mm", "keypoints_px", "confidence", "intent_probability"];
  if (json.hypotheses_mm) names.push("hypotheses_mm");
  const arrays = await Promise.all(names.map(name => unpack(json[name])));
  const motion = {...json, ...Object.fromEntries(names.map((name, i) => [name, arrays[i]]))};
  motion.frames = motion.time_s.length;
  motion.hypotheses = json.hypotheses_mm ? json.hypotheses_mm.shape[1] : 0;
  motion.joints = motion.skeleton.joints.length;
  motion.bones = motion.skeleton.parents.map((parent, joint) => [joint, parent]).filter(([, parent]) => parent >= 0);
  return motion;
}

// Whether someone is to be seen at a time, s.
function present(motion, time) {
  const last = motion.frames - 1;
  return time > motion.time_s[0] - 0.5 / motion.fps && time < motion.time_s[last] + 1.5 / motion.fps;
}

// The last frame that is shown at a time, s.
function frameAt(motion, time) {
  let low = 0, high = motion.frames - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (motion.time_s[middle] <= time + 1e-3) low = middle; else high = middle - 1;
  }
  return low;
}

// The likeliest intents of a frame: [index, probability], best first.
function topIntents(motion, frame, count) {
  const all = motion.intents.map((_, i) => [i, motion.intent_probability[frame * motion.intents.length + i]]);
  return all.sort((a, b) => b[1] - a[1]).slice(0, count);
}

// The value that a share of the numbers lies below; of very many, every so many-th is asked.
function quantile(values, share) {
  const step = Math.max(1, Math.floor(values.length / 10000)), asked = [];
  for (let i = 0; i < values.length; i += step) if (Number.isFinite(values[i])) asked.push(values[i]);
  const sorted = Float64Array.from(asked).sort();
  return sorted.length ? sorted[Math.floor(share * (sorted.length - 1))] : 0;
}

const SIDE_COLOUR = {left: "#0072b2", right: "#d55e00", "": "#8d97a5"};

// Those beside the first one are tinted: Okabe and Ito's other colours.
const TINTS = ["", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"];
const tintOf = index => index ? TINTS[1 + (index - 1) % (TINTS.length - 1)] : "";
