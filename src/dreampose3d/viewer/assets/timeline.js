// The band under the scrubber: the probability of each intent over time, stacked; with the loop's range and the events.

// Paul Tol's muted colours, without those close to the blue and vermilion of the sides; the rest share one grey.
const INTENT_COLOURS = ["#44aa99", "#ddcc77", "#aa4499", "#88ccee", "#999933"];
const OTHER_COLOUR = "#c6ccd5";

const intentColour = rank => INTENT_COLOURS[rank] ?? OTHER_COLOUR;

class Timeline {
  constructor(motion, box) {
    this.motion = this.person = motion;
    this.canvas = box.querySelector("canvas");
    this.playhead = box.querySelector("#playhead");
    this.marks = box.querySelector("#marks");
    this.draw();
    this.remark = () => {};
    new ResizeObserver(() => {
      this.draw();
      this.remark();
    }).observe(box);
  }

  draw() {
    const {person: motion, canvas} = this;
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
    const {person: motion} = this, last = motion.frames - 1;
    const at = frame => motion.intent_probability[frame * motion.intents.length + intent];
    if ((to - from) * last <= 1) {
      const place = (from + to) / 2 * last, frame = Math.floor(place);
      return at(frame) + (place - frame) * (at(Math.min(last, frame + 1)) - at(frame));
    }
    let sum = 0, count = 0;
    for (let frame = Math.round(from * last); frame < Math.round(to * last); frame++, count++) sum += at(frame);
    return sum / Math.max(1, count);
  }

  // Another person's intents, over the clock of the first one.
  choose(person) {
    this.person = person;
    this.draw();
  }

  show(frame) {
    this.playhead.style.left = this.placeOf(frame);
  }

  placeOf(frame) {
    return `${frame / Math.max(1, this.motion.frames - 1) * 100}%`;
  }

  // The range that is played over and over, and a button at each event.
  mark(range, events, go) {
    const loop = element("div", {className: "loop", hidden: !range});
    if (range) Object.assign(loop.style, {left: this.placeOf(range[0]), right: `${100 - parseFloat(this.placeOf(range[1]))}%`});
    this.taken = [[], []];
    const buttons = events.map(({name, time_s: time}) => {
      const frame = frameAt(this.motion, time + 0.5 / this.motion.fps), label = `${name}, ${time.toFixed(2)} s`;
      const className = `event ${this.room(parseFloat(this.placeOf(frame)) / 100, name)}`;
      const button = element("button", {type: "button", className, title: label, ariaLabel: label, onclick: () => go(frame)}, name);
      button.style.left = this.placeOf(frame);
      return button;
    });
    this.marks.replaceChildren(loop, ...buttons);
    this.remark = () => this.mark(range, events, go); // in another width there is other room
  }

  // Where a name at a place (0 to 1) has room: in the lower row or the upper one, to the right or the left; else nowhere.
  room(place, name) {
    const width = this.canvas.parentElement.clientWidth, at = place * width, length = 8 * name.length + 16;
    for (const [side, from] of [["", at], ["leftwards", at - length]]) {
      for (const [row, taken] of this.taken.entries()) {
        const free = taken.every(([start, stop]) => from + length <= start || stop <= from);
        if (from < 0 || from + length > width || !free) continue;
        taken.push([from, from + length]);
        return `${side} ${row ? "upper" : ""}`;
      }
    }
    return "brief";
  }

  // The frame under a pointer.
  frameUnder(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.round(Math.max(0, Math.min(1, share)) * (this.motion.frames - 1));
  }
}
