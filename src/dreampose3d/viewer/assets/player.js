// Playback: one clock, everything that shows a frame, and the controls.

const $ = id => document.getElementById(id);

class Player {
  constructor(everyone) {
    this.everyone = everyone;
    const motion = this.motion = this.person = everyone[0]; // the first one's clock is the page's
    this.frame = 0;
    this.range = null;
    this.speed = 1;
    this.playing = false;
    this.picture = new Picture(everyone, $("picture"));
    this.timeline = new Timeline(motion, $("timeline"));
    this.stage = this.openStage();
    this.graph = new Graph($("graph"));
    this.describe();
    this.choose(0);
    this.listen();
    this.stage?.view("start", false);
    this.go(0);
  }

  openStage() {
    try {
      return new Stage(this.everyone, $("scene"), this.picture.video);
    } catch (error) {
      $("stage-note").textContent = `3D needs WebGL, which this browser did not give: ${error.message}`;
      return null;
    }
  }

  // Show a frame, and take the video there.
  go(frame) {
    this.show(Math.max(0, Math.min(this.motion.frames - 1, frame)));
    this.position = this.motion.time_s[this.frame];
    if (this.picture.video) this.picture.video.currentTime = this.videoTime(this.position + 0.4 / this.motion.fps);
  }

  show(frame) {
    const {motion} = this, shown = frame + 1, seconds = motion.time_s[frame].toFixed(2);
    this.frame = frame;
    this.picture.show(motion.time_s[frame]);
    this.timeline.show(frame);
    this.stage?.show(motion.time_s[frame]);
    const theirs = frameAt(this.person, motion.time_s[frame]);
    this.graph.show(theirs);
    $("scrub").value = frame;
    $("scrub").setAttribute("aria-valuetext", `frame ${shown} of ${motion.frames}, ${seconds} seconds`);
    $("clock").replaceChildren(`${shown}`, quiet(` / ${motion.frames}`), ` · ${seconds}`, quiet(" s"));
    $("intents").replaceChildren(...topIntents(this.person, theirs, 3).map(([rank, probability]) =>
      element("span", {}, dot(intentColour(rank)), `${this.person.intents[rank]} `, quiet(`${Math.round(probability * 100)} %`))));
  }

  play() {
    if (this.playing) return;
    this.playing = true;
    const [first, last] = this.playedRange();
    if (this.frame >= last || this.frame < first) this.go(first);
    this.follow();
    this.last = performance.now();
    this.startVideo();
    requestAnimationFrame(now => this.tick(now));
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.follow();
    this.picture.video?.pause();
    this.go(this.frame);
  }

  follow() {
    $("play").classList.toggle("playing", this.playing);
    $("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
  }

  startVideo() {
    const {video} = this.picture;
    if (!video) return;
    video.playbackRate = this.speed;
    video.play().catch(() => {}); // interrupted by a pause: nothing to do
  }

  // The video's clock leads where it runs, so that both stay together even if it stalls; else ours does.
  tick(now) {
    if (!this.playing) return;
    const {motion} = this, {video} = this.picture, [first, last] = this.playedRange();
    const end = motion.time_s[last] + 1 / motion.fps;
    const runs = video && !video.ended && video.readyState >= 2;
    this.position = runs ? video.currentTime + motion.video.start_s : this.position + Math.max(0, now - this.last) / 1000 * this.speed;
    this.last = now;
    if (this.position >= end) {
      this.go(first);
      this.startVideo();
    }
    const frame = Math.max(first, Math.min(last, frameAt(motion, this.position)));
    if (frame !== this.frame) this.show(frame);
    requestAnimationFrame(next => this.tick(next));
  }

  // First and last frame of what is played: the loop's range, else everything.
  playedRange() {
    return this.range ?? [0, this.motion.frames - 1];
  }

  // Begin or end the loop at this frame; without an edge, play everything again.
  loop(edge) {
    const [first, last] = this.playedRange(), {frame} = this;
    const range = edge === "in" ? [frame, Math.max(last, frame)] : edge === "out" ? [Math.min(first, frame), frame] : null;
    this.range = range && range[1] > range[0] ? range : null;
    $("loop").setAttribute("aria-pressed", Boolean(this.range));
    this.mark();
  }

  mark() {
    this.timeline.mark(this.range, this.person.events, frame => this.go(frame));
  }

  // Whose intents, graph and events are shown, and whom the views follow.
  choose(index) {
    this.person = this.everyone[index];
    this.timeline.choose(this.person);
    if (this.stage) {
      this.stage.choose(index);
      this.graph.choose(this.person, this.stage.body);
    }
    document.body.classList.toggle("no-intents", !this.person.intents.length);
    const named = this.person.intents.slice(0, INTENT_COLOURS.length).map((name, rank) => element("span", {}, dot(intentColour(rank)), name));
    $("band-legend").replaceChildren(...named, element("span", {}, dot(OTHER_COLOUR), "others"));
    this.mark();
    this.show(this.frame);
  }

  videoTime(time) {
    return Math.max(0, time - this.motion.video.start_s);
  }

  setSpeed(speed) {
    this.speed = Math.round(Math.max(0.1, Math.min(2, speed)) * 10) / 10;
    $("speed").value = this.speed;
    $("speed-value").textContent = `${this.speed}×`;
    if (this.picture.video) this.picture.video.playbackRate = this.speed;
  }

  step(count) {
    this.pause();
    this.go(this.frame + count);
  }

  describe() {
    const {motion} = this, fps = Number(motion.fps.toFixed(2)), seconds = (motion.frames / motion.fps).toFixed(1);
    $("length").textContent = `${motion.frames} ${motion.frames === 1 ? "frame" : "frames"} · ${fps} fps · ${seconds} s`;
    $("facts").textContent = motion.facts;
    const rows = Object.entries(motion.meta).flatMap(([key, value]) =>
      [element("dt", {}, key), element("dd", {}, typeof value === "string" ? value : JSON.stringify(value))]);
    $("meta").replaceChildren(...rows);
    $("scrub").max = motion.frames - 1;
    const names = this.everyone.map((person, i) => element("option", {value: i}, person.label || `person ${i}`));
    $("person").replaceChildren(...names);
    $("person").parentElement.hidden = this.everyone.length < 2;
    $("ghosts").hidden = !this.everyone.some(person => person.hypotheses);
    $("picture-note").textContent = motion.note;
    if (!this.stage) return;
    const full = this.stage.spreadFull;
    $("ramp").style.background = `linear-gradient(90deg, ${RAMP.join(", ")})`;
    $("ramp").setAttribute("aria-label", `Joints are white at 0 mm and dark purple at ${full} mm: 68 % of true joints lie within`);
    $("spread-half").textContent = full / 2;
    $("spread-full").textContent = `${full}`;
    $("stage-note").textContent = motion.ground;
  }

  listen() {
    $("play").addEventListener("click", () => this.playing ? this.pause() : this.play());
    $("back").addEventListener("click", () => this.step(-1));
    $("forward").addEventListener("click", () => this.step(1));
    $("scrub").addEventListener("input", event => this.go(Number(event.target.value)));
    $("speed").addEventListener("input", event => this.setSpeed(Number(event.target.value)));
    $("band").addEventListener("pointerdown", event => {
      $("band").setPointerCapture(event.pointerId);
      this.go(this.timeline.frameUnder(event));
    });
    $("band").addEventListener("pointermove", event => { if (event.buttons) this.go(this.timeline.frameUnder(event)); });
    $("loop").addEventListener("click", () => this.range ? this.loop() : this.loopAround());
    $("person").addEventListener("change", event => this.choose(Number(event.target.value)));
    document.addEventListener("keydown", event => this.key(event));
    if (!this.stage) return;
    const views = [...document.querySelectorAll("[data-view]")];
    for (const button of views) button.addEventListener("click", () => this.stage.view(button.dataset.view));
    this.stage.onview = name => views.forEach(button => button.setAttribute("aria-pressed", button.dataset.view === name));
    $("follow").addEventListener("click", () => this.setFollowing(!this.stage.following));
    this.setFollowing(this.stage.following);
    for (const [id, act] of this.switches()) $(id).addEventListener("click", () => this.flip(id, act));
  }

  switches() {
    const {stage} = this;
    return [["trails", on => stage.showTrails(on)], ["ghosts", on => stage.showGhosts(on)], ["frustum", on => stage.showCamera(on)]];
  }

  flip(id, act) {
    const on = $(id).getAttribute("aria-pressed") !== "true";
    $(id).setAttribute("aria-pressed", on);
    act(on);
  }

  // The loop button without a range: two seconds around this frame.
  loopAround() {
    const {motion, frame} = this, reach = Math.max(1, Math.round(motion.fps));
    this.range = [Math.max(0, frame - reach), Math.min(motion.frames - 1, frame + reach)];
    if (this.range[0] === this.range[1]) this.range = null;
    $("loop").setAttribute("aria-pressed", Boolean(this.range));
    this.mark();
  }

  setFollowing(following) {
    this.stage.following = following;
    $("follow").setAttribute("aria-pressed", following);
  }

  // Keys that a focused control uses itself are left to it.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const {target, key} = event;
    if (key === " " && target.closest("button, summary")) return;
    if (target.matches("select") || key.startsWith("Arrow") && target.matches("input")) return;
    if (target === $("scene") && this.stage?.key(key)) return event.preventDefault();
    const view = {c: "camera", f: "front", s: "side", t: "top"}[key.toLowerCase()];
    const act = {
      " ": () => this.playing ? this.pause() : this.play(),
      ArrowLeft: () => this.step(event.shiftKey ? -10 : -1), ArrowRight: () => this.step(event.shiftKey ? 10 : 1),
      ArrowUp: () => this.setSpeed(this.speed + 0.1), ArrowDown: () => this.setSpeed(this.speed - 0.1),
      Home: () => this.go(0), End: () => this.go(this.motion.frames - 1),
      w: () => this.stage && this.setFollowing(!this.stage.following),
      i: () => this.loop("in"), o: () => this.loop("out"), l: () => this.loop(),
      ...Object.fromEntries(this.stage ? this.switches().map(([id, act]) => [{trails: "r", ghosts: "h", frustum: "v"}[id], () => this.flip(id, act)]) : []),
    }[key] ?? (view && (() => this.stage?.view(view)));
    if (!act) return;
    event.preventDefault();
    act();
  }
}

function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function dot(colour) {
  const made = element("span", {className: "dot"});
  made.style.background = colour;
  return made;
}

const quiet = text => element("small", {}, text);

loadEveryone(JSON.parse($("data").textContent)).then(everyone => {
  window.player = new Player(everyone);
  document.body.dataset.ready = "true";
});
