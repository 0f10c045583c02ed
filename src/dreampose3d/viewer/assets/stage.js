// The 3D view: everyone on the ground, lit softly, with the camera that saw them; turned by mouse, touch and keys.
// The scene is in metres, y up: camera frame (x, y, z) -> (x, -y, -z), then turned so that "up" is y.

// Lines every metre and, fainter, every half, one pixel wide, fading out where they crowd and away from the person.
const GRID = {
  vertexShader: `
    varying vec2 at;
    void main() {
      vec4 world = modelMatrix * vec4(position, 1.0);
      at = world.xz;
      gl_Position = projectionMatrix * viewMatrix * world;
    }`,
  fragmentShader: `
    varying vec2 at;
    uniform vec3 middle;
    float lines(float every) {
      vec2 place = at / every, pixel = fwidth(place), off = abs(fract(place - 0.5) - 0.5) / pixel;
      vec2 line = (1.0 - min(off, 1.0)) * (1.0 - smoothstep(0.05, 0.4, pixel));
      return max(line.x, line.y);
    }
    void main() {
      float fade = 1.0 - smoothstep(2.5, 9.0, distance(at, middle.xz));
      gl_FragColor = vec4(0.36, 0.42, 0.5, fade * max(0.5 * lines(1.0), 0.2 * lines(0.5)));
    }`,
};

class Stage {
  constructor(everyone, canvas, video) {
    this.everyone = everyone;
    this.motion = everyone[0];
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({canvas, antialias: true});
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, 2));
    this.renderer.shadowMap.enabled = true;
    this.spreadFull = this.fullSpread();
    const [ux, uy, uz] = this.motion.camera.up;
    this.turn = new THREE.Quaternion().setFromUnitVectors(new THREE.Vector3(ux, -uy, -uz), new THREE.Vector3(0, 1, 0));
    this.bodies = everyone.map((motion, i) => new Body(motion, this.turn, tintOf(i), this.spreadFull));
    this.body = this.bodies[0];
    this.ground = quantile(this.bodies.flatMap(body => Array.from(body.lowest)), 0.05) - 0.055; // the ankle's own height, as drawn
    this.build(video);
    this.lens = new THREE.PerspectiveCamera(32, 1, 0.05, 200);
    this.controls = new THREE.OrbitControls(this.lens, canvas);
    this.controls.enableDamping = false;
    this.controls.maxDistance = 60;
    this.controls.addEventListener("change", () => this.draw());
    this.controls.addEventListener("start", () => this.leaveView());
    this.onview = () => {};
    const {span, middle} = this.path();
    this.following = span > 2.5;
    this.middleOfPath = middle;
    this.frame = 0;
    this.fit();
    new ResizeObserver(() => { if (this.fit()) this.render(); }).observe(canvas.parentElement); // at once: fitting has cleared the canvas
  }

  // The spread at which the scale of uncertainty ends: a round number that few joints exceed.
  fullSpread() {
    const full = Math.max(...this.everyone.map(motion => quantile(motion.spread_mm, 0.98)));
    return [10, 20, 40, 60, 100, 150, 200, 300, 500].find(step => step >= full) ?? Math.ceil(full / 500) * 500;
  }

  joint(frame, joint) {
    return this.body.joint(frame, joint);
  }

  root(frame) {
    return this.body.root(frame);
  }

  // The box around everyone's path over the ground: how far they get, and its middle.
  path() {
    const low = new THREE.Vector3(Infinity, 0, Infinity), high = new THREE.Vector3(-Infinity, 0, -Infinity);
    for (const body of this.bodies) {
      for (let frame = 0; frame < body.motion.frames; frame++) {
        const root = body.root(frame).setY(0);
        low.min(root);
        high.max(root);
      }
    }
    return {span: high.distanceTo(low), middle: low.add(high).multiplyScalar(0.5)};
  }

  build(video) {
    const room = new THREE.Color("#eef1f5");
    this.scene = new THREE.Scene();
    this.scene.background = room;
    this.scene.fog = new THREE.Fog(room, 9, 24);
    this.scene.add(new THREE.HemisphereLight("#ffffff", "#c9d0da", 2.3));
    this.sun = new THREE.DirectionalLight("#fff6ea", 1.9);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    this.sun.shadow.radius = 6;
    Object.assign(this.sun.shadow.camera, {left: -1.8, right: 1.8, top: 1.8, bottom: -1.8, near: 0.5, far: 9});
    this.scene.add(this.sun, this.sun.target);
    this.buildGround();
    this.buildCamera(video);
    for (const body of this.bodies) this.scene.add(body.group);
  }

  buildGround() {
    const start = this.root(0);
    const shadows = new THREE.Mesh(new THREE.PlaneGeometry(80, 80), new THREE.ShadowMaterial({opacity: 0.2, depthWrite: false}));
    shadows.rotation.x = -Math.PI / 2;
    shadows.position.set(start.x, this.ground, start.z);
    shadows.receiveShadow = true;
    this.scene.add(shadows);
    const grid = new THREE.Mesh(new THREE.PlaneGeometry(80, 80), new THREE.ShaderMaterial({
      transparent: true, depthWrite: false, uniforms: {middle: {value: start}}, ...GRID,
    }));
    grid.rotation.x = -Math.PI / 2;
    grid.position.set(start.x, this.ground - 0.002, start.z);
    this.middle = grid.material.uniforms.middle.value;
    this.scene.add(grid);
    this.bodies.forEach((body, i) => {
      const points = Array.from({length: body.motion.frames}, (_, frame) => body.root(frame).setY(this.ground + 0.003));
      const line = new THREE.BufferGeometry().setFromPoints(points);
      const path = new THREE.Line(line, new THREE.LineBasicMaterial({color: tintOf(i) || "#7d8794"}));
      path.frustumCulled = false;
      this.scene.add(path);
    });
  }

  // The camera that saw this: its pyramid, closed behind everyone by the image, which shows the video where there is one.
  buildCamera(video) {
    const {size_px: [width, height], focal_px: [fx, fy], center_px: [cx, cy]} = this.motion.camera;
    const far = Math.max(...this.everyone.map(farthest)) + 1.2;
    const corner = (x, y) => new THREE.Vector3((x - cx) / fx * far, -(y - cy) / fy * far, -far).applyQuaternion(this.turn);
    const corners = [corner(0, 0), corner(width, 0), corner(width, height), corner(0, height)], eye = new THREE.Vector3();
    const edges = corners.flatMap((point, i) => [eye, point, point, corners[(i + 1) % 4]]);
    this.pyramid = new THREE.LineSegments(new THREE.BufferGeometry().setFromPoints(edges),
      new THREE.LineBasicMaterial({color: "#7d8794", transparent: true, opacity: 0.7}));
    this.screen = null;
    this.cameraShown = false;
    this.pyramid.visible = false;
    this.scene.add(this.pyramid);
    if (!video) return;
    const plane = new THREE.BufferGeometry().setFromPoints([corners[0], corners[3], corners[1], corners[2]]);
    plane.setAttribute("uv", new THREE.BufferAttribute(new Float32Array([0, 1, 0, 0, 1, 1, 1, 0]), 2));
    plane.setIndex([0, 1, 2, 2, 1, 3]);
    this.texture = new THREE.VideoTexture(video);
    this.texture.colorSpace = THREE.SRGBColorSpace;
    this.screen = new THREE.Mesh(plane, new THREE.MeshBasicMaterial({map: this.texture, side: THREE.DoubleSide, fog: false, toneMapped: false}));
    this.screen.visible = false;
    this.scene.add(this.screen);
    for (const event of ["seeked", "loadeddata"]) {
      video.addEventListener(event, () => {
        this.texture.needsUpdate = true;
        this.draw();
      });
    }
  }

  // The pyramid is seen from outside only; from the camera itself there is the video, if any.
  showCamera(shown) {
    this.cameraShown = shown;
    this.arrangeCamera();
    this.draw();
  }

  arrangeCamera() {
    const inside = this.viewName === "camera";
    this.pyramid.visible = this.cameraShown && !inside;
    if (this.screen) this.screen.visible = this.cameraShown || inside;
  }

  showTrails(shown) {
    for (const body of this.bodies) body.trails.visible = shown;
    this.draw();
  }

  showGhosts(shown) {
    for (const body of this.bodies) {
      if (!body.ghosts) continue;
      body.ghosts.visible = shown;
      if (shown) body.poseGhosts(Math.max(0, body.frame));
    }
    this.draw();
  }

  // Whom the views and the ground's middle follow.
  choose(index) {
    this.body = this.bodies[index];
    this.lastRoot = null;
    this.frame = Math.max(0, this.body.frame);
    if (this.viewName) this.view(this.viewName);
  }

  show(time) {
    for (const body of this.bodies) {
      body.group.visible = present(body.motion, time);
      body.show(frameAt(body.motion, time));
    }
    const {frame} = this.body, last = this.lastRoot ?? this.root(frame), moved = this.root(frame).sub(last).setY(0);
    this.frame = frame;
    this.lastRoot = this.root(frame);
    if (this.following) {
      this.lens.position.add(moved);
      this.controls.target.add(moved);
      this.controls.update();
    }
    const root = this.root(frame);
    this.middle.copy(root);
    this.sun.target.position.copy(root);
    this.sun.position.copy(root).add(new THREE.Vector3(-1.3, 3.4, 1.9));
    this.draw();
  }

  // Where the lens stands and looks, and how wide, for each named view.
  viewpoint(name) {
    if (name === "camera") return this.cameraViewpoint();
    const whole = name === "start" && !this.following;
    const target = (whole ? this.middleOfPath.clone() : this.root(this.frame)).setY(this.ground + 0.9), distance = 4.3 / Math.min(1, this.lens.aspect);
    const left = this.leftOfPerson(), front = new THREE.Vector3(-left.z, 0, left.x);
    const toCamera = target.clone().negate().setY(0).normalize();
    const from = {
      front, side: left, top: new THREE.Vector3(0, 1, 0).addScaledVector(front, 1e-3),
      start: toCamera.applyAxisAngle(new THREE.Vector3(0, 1, 0), 0.6).setY(0.3),
    }[name];
    const position = target.clone().addScaledVector(from.normalize(), distance);
    if (name === "front" || name === "side") position.y += 0.25;
    return {position, target, fov: 32};
  }

  // The source camera itself: at the origin, along the ray through the middle of its image.
  cameraViewpoint() {
    const {size_px: [width, height], focal_px: [fx, fy], center_px: [cx, cy]} = this.motion.camera;
    const ray = new THREE.Vector3((width / 2 - cx) / fx, -(height / 2 - cy) / fy, -1).applyQuaternion(this.turn).normalize();
    const position = new THREE.Vector3(), target = ray.multiplyScalar(this.root(this.frame).length());
    const up = height / 2 / fy, across = width / 2 / fx / this.lens.aspect;
    return {position, target, fov: 2 * Math.atan(Math.max(up, across)) * 180 / Math.PI};
  }

  leftOfPerson() {
    const [left, right] = ["left_hip", "right_hip"].map(name => this.body.motion.skeleton.joints.indexOf(name));
    if (left < 0 || right < 0) return new THREE.Vector3(1, 0, 0);
    const across = this.joint(this.frame, left).sub(this.joint(this.frame, right)).setY(0);
    return across.length() > 1e-3 ? across.normalize() : new THREE.Vector3(1, 0, 0);
  }

  view(name, smoothly = true) {
    const from = {position: this.lens.position.clone(), target: this.controls.target.clone(), fov: this.lens.fov};
    const to = this.viewpoint(name), started = performance.now();
    const calm = !smoothly || matchMedia("(prefers-reduced-motion: reduce)").matches;
    const flight = this.flight = {};
    const step = () => {
      if (this.flight !== flight) return;
      const t = calm ? 1 : Math.min(1, (performance.now() - started) / 400), eased = t * t * (3 - 2 * t);
      this.lens.position.lerpVectors(from.position, to.position, eased);
      this.controls.target.lerpVectors(from.target, to.target, eased);
      this.lens.fov = from.fov + (to.fov - from.fov) * eased;
      this.lens.updateProjectionMatrix();
      this.controls.update();
      this.draw();
      if (t < 1) requestAnimationFrame(step);
    };
    this.viewName = name;
    this.arrangeCamera();
    this.onview(name);
    step();
  }

  leaveView() {
    this.flight = null;
    this.viewName = "";
    this.arrangeCamera();
    this.onview("");
  }

  // Arrow keys turn by five degrees, plus and minus zoom. True if the key meant something here.
  key(key) {
    const turn = Math.PI / 36, {controls} = this;
    const act = {
      ArrowLeft: () => controls.rotateLeft(turn), ArrowRight: () => controls.rotateLeft(-turn),
      ArrowUp: () => controls.rotateUp(turn), ArrowDown: () => controls.rotateUp(-turn),
      "+": () => controls.dollyIn(1.1), "=": () => controls.dollyIn(1.1), "-": () => controls.dollyOut(1.1),
    }[key];
    if (!act) return false;
    this.leaveView();
    act();
    controls.update();
    return true;
  }

  // Take the panel's size. False if that is what it has: new buffers are dear.
  fit() {
    const {clientWidth: width, clientHeight: height} = this.canvas.parentElement;
    if (this.width === width && this.height === height) return false;
    Object.assign(this, {width, height});
    this.renderer.setSize(width, height, false);
    this.lens.aspect = width / Math.max(1, height);
    this.lens.updateProjectionMatrix();
    if (this.viewName) this.view(this.viewName, false);
    return true;
  }

  // Render once before the next repaint, however often it is asked.
  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.render();
    });
  }

  render() {
    this.renderer.render(this.scene, this.lens);
  }
}

// How far away a person ever is, m.
function farthest({frames, root_mm: root}) {
  let far = 0;
  for (let frame = 0; frame < frames; frame++) far = Math.max(far, root[3 * frame + 2] / 1000);
  return far;
}
