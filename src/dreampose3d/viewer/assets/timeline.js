// The band under the scrubber: the probability of each intent over time, stacked.

// Paul Tol's muted colours, without those close to the blue and vermilion of the sides; the rest share one grey.
const INTENT_COLOURS = ["#44aa99", "#ddcc77", "#aa4499", "#88ccee", "#999933"];
const OTHER_COLOUR = "#c6ccd5";

const intentColour = rank => INTENT_COLOURS[rank] ?? OTHER_COLOUR;

class Timeline {
  constructor(motion, box) {
    this.motion = motion;
    this.canvas = box.querySelector("canvas");
    this.playhead = box.querySelector("#playhead");
    this.draw();
    new ResizeObserver(() => this.draw()).observe(box);
  }

  draw() {
    const {motion, canvas} = this;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    const draw = canvas.getContext("2d"), kinds = motion.intents.length;
    draw.fillStyle = OTHER_COLOUR;
    draw.fillRect(0, 0, width, height);
    for (let x = 0; x < width; x++) {
      let bottom = height;
      for (let i = 0; i < Math.min(kinds, INTENT_COLOURS.length); i++) {
        const top = bottom - this.probability(i, x / width, (x + 1) / width) * height;
        draw.fillStyle = INTENT_COLOURS[i];
        draw.fillRect(x, top, 1, bottom - top);
        bottom = top;
      }
    }
  }

  // The mean over a stretch of the timeline (0 to 1), between frames where it is shorter than one.
  probability(intent, from, to) {
    const {motion} = this, last = motion.frames - 1;
    const at = frame => motion.intent_probability[frame * motion.intents.length + intent];
    if ((to - from) * last <= 1) {
      const place = (from + to) / 2 * last, frame = Math.floor(place);
      return at(frame) + (place - frame) * (at(Math.min(last, frame + 1)) - at(frame));
    }
    let sum = 0, count = 0;
    for (let frame = Math.round(from * last); frame < Math.round(to * last); frame++, count++) sum += at(frame);
    return sum / Math.max(1, count);
  }

  show(frame) {
    this.playhead.style.left = `${frame / Math.max(1, this.motion.frames - 1) * 100}%`;
  }

  // The frame under a pointer.
  frameUnder(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.round(Math.max(0, Math.min(1, share)) * (this.motion.frames - 1));
  }
}
