// The 2D input: the video, if the page carries it, and the keypoints drawn over it.

class Picture {
  constructor(everyone, panel) {
    this.everyone = everyone;
    const motion = this.motion = everyone[0];
    this.panel = panel;
    this.canvas = panel.querySelector("canvas");
    this.video = null;
    if (motion.video) {
      this.video = panel.querySelector("video");
      this.video.src = URL.createObjectURL(new Blob([decode(motion.video.data)], {type: "video/mp4"}));
      this.video.hidden = false;
    }
    new ResizeObserver(() => this.resize()).observe(panel);
    panel.parentElement.style.setProperty("--image", motion.camera.size_px[0] / motion.camera.size_px[1]);
    this.time = motion.time_s[0];
    this.resize();
  }

  // Fit the camera's image into the panel.
  resize() {
    const {clientWidth: width, clientHeight: height} = this.panel;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [imageWidth, imageHeight] = this.motion.camera.size_px;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.scale = Math.min(width / imageWidth, height / imageHeight);
    this.left = (width - imageWidth * this.scale) / 2;
    this.top = (height - imageHeight * this.scale) / 2;
    this.ratio = ratio;
    if (this.video) {
      Object.assign(this.video.style, {
        left: `${this.left}px`, top: `${this.top}px`,
        width: `${imageWidth * this.scale}px`, height: `${imageHeight * this.scale}px`,
      });
    }
    this.show(this.time);
  }

  show(time) {
    this.time = time;
    const {motion, scale} = this;
    const draw = this.canvas.getContext("2d");
    draw.setTransform(1, 0, 0, 1, 0, 0);
    draw.clearRect(0, 0, this.canvas.width, this.canvas.height);
    draw.setTransform(this.ratio, 0, 0, this.ratio, this.left * this.ratio, this.top * this.ratio);
    if (!this.video) {
      draw.fillStyle = "#fbfcfd";
      draw.fillRect(0, 0, motion.camera.size_px[0] * scale, motion.camera.size_px[1] * scale);
    }
    this.frame = frameAt(motion, time);
    this.everyone.forEach((person, i) => { if (present(person, time)) this.drawPerson(draw, person, frameAt(person, time), tintOf(i)); });
  }

  drawPerson(draw, motion, frame, tint) {
    const {scale} = this, colourOf = joint => tint || SIDE_COLOUR[motion.skeleton.sides[joint]];
    draw.lineCap = "round";
    const at = joint => [0, 1].map(axis => motion.keypoints_px[(frame * motion.joints + joint) * 2 + axis] * scale);
    const sure = joint => Math.min(1, 0.15 + 0.85 * motion.confidence[frame * motion.joints + joint]);
    for (const [joint, parent] of motion.bones) {
      const [a, b] = [at(joint), at(parent)];
      if (![...a, ...b].every(Number.isFinite)) continue;
      draw.globalAlpha = Math.min(sure(joint), sure(parent));
      for (const [width, colour] of [[5, "rgb(255 255 255 / 75%)"], [2.5, colourOf(joint)]]) {
        draw.lineWidth = width;
        draw.strokeStyle = colour;
        draw.beginPath();
        draw.moveTo(...a);
        draw.lineTo(...b);
        draw.stroke();
      }
    }
    for (let joint = 0; joint < motion.joints; joint++) {
      const [x, y] = at(joint);
      if (!Number.isFinite(x + y)) continue;
      draw.globalAlpha = sure(joint);
      draw.fillStyle = "#ffffff";
      draw.strokeStyle = colourOf(joint);
      draw.lineWidth = 1.5;
      draw.beginPath();
      draw.arc(x, y, 3, 0, 2 * Math.PI);
      draw.fill();
      draw.stroke();
    }
    draw.globalAlpha = 1;
  }
}
