// The 3D view: a skeleton with volume on the ground, lit softly, turned by mouse, touch and keys.
// The scene is in metres, y up: camera frame (x, y, z) -> (x, -y, -z), then turned so that "up" is y.

// White where a joint is certain, then darker and darker: the order is told by lightness alone.
const RAMP = ["#ffffff", "#e3b7e0", "#a24aa5", "#3c0a4a"];

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
  constructor(motion, canvas) {
    this.motion = motion;
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({canvas, antialias: true});
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, 2));
    this.renderer.shadowMap.enabled = true;
    this.place();
    this.build();
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
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    this.resize();
  }

  // All joints of all frames in scene coordinates, and where the ground is.
  place() {
    const {motion} = this, {frames, joints} = motion;
    const [ux, uy, uz] = motion.camera.up;
    this.turn = new THREE.Quaternion().setFromUnitVectors(new THREE.Vector3(ux, -uy, -uz), new THREE.Vector3(0, 1, 0));
    const points = this.points = new Float32Array(frames * joints * 3), lowest = new Float32Array(frames);
    const point = new THREE.Vector3();
    for (let frame = 0; frame < frames; frame++) {
      lowest[frame] = Infinity;
      for (let joint = 0; joint < joints; joint++) {
        const at = (frame * joints + joint) * 3;
        const [x, y, z] = [0, 1, 2].map(axis => (motion.root_mm[frame * 3 + axis] + motion.root_relative_mm[at + axis]) / 1000);
        point.set(x, -y, -z).applyQuaternion(this.turn).toArray(points, at);
        lowest[frame] = Math.min(lowest[frame], point.y);
      }
    }
    this.ground = quantile(lowest, 0.05) - 0.055; // the ankle's own height, as thick as it is drawn
  }

  joint(frame, joint, target = new THREE.Vector3()) {
    return target.fromArray(this.points, (frame * this.motion.joints + joint) * 3);
  }

  root(frame) {
    return this.joint(frame, Math.max(0, this.motion.skeleton.parents.indexOf(-1)));
  }

  // The box around the root's path over the ground: how far the person gets, and its middle.
  path() {
    const low = new THREE.Vector3(Infinity, 0, Infinity), high = new THREE.Vector3(-Infinity, 0, -Infinity);
    for (let frame = 0; frame < this.motion.frames; frame++) {
      const root = this.root(frame).setY(0);
      low.min(root);
      high.max(root);
    }
    return {span: high.distanceTo(low), middle: low.add(high).multiplyScalar(0.5)};
  }

  build() {
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
    this.buildBody();
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
    const path = new Float32Array(this.motion.frames * 3);
    for (let frame = 0; frame < this.motion.frames; frame++) this.root(frame).setY(this.ground + 0.003).toArray(path, frame * 3);
    const line = new THREE.BufferGeometry().setAttribute("position", new THREE.BufferAttribute(path, 3));
    const trail = new THREE.Line(line, new THREE.LineBasicMaterial({color: "#7d8794"}));
    trail.frustumCulled = false;
    this.scene.add(trail);
  }

  // Bones are cylinders in the colour of their side, joints balls in the colour of their uncertainty.
  buildBody() {
    const {bones, joints, skeleton} = this.motion;
    const skin = () => new THREE.MeshLambertMaterial();
    this.limbs = new THREE.InstancedMesh(new THREE.CylinderGeometry(1, 1, 1, 28, 1, true), skin(), bones.length);
    this.balls = new THREE.InstancedMesh(new THREE.SphereGeometry(1, 20, 14), skin(), joints);
    bones.forEach(([joint], i) => this.limbs.setColorAt(i, new THREE.Color(SIDE_COLOUR[skeleton.sides[joint]])));
    for (let joint = 0; joint < joints; joint++) this.balls.setColorAt(joint, new THREE.Color());
    this.ramp = RAMP.map(colour => new THREE.Color(colour));
    const full = quantile(this.motion.spread_mm, 0.98);
    this.spreadFull = [10, 20, 40, 60, 100, 150, 200, 300, 500].find(step => step >= full) ?? Math.ceil(full / 500) * 500;
    for (const mesh of [this.limbs, this.balls]) {
      mesh.castShadow = true;
      mesh.frustumCulled = false;
      mesh.instanceMatrix.setUsage(THREE.DynamicDrawUsage);
      this.scene.add(mesh);
    }
  }

  show(frame) {
    const moved = this.root(frame).sub(this.root(this.frame)).setY(0);
    this.frame = frame;
    this.pose(frame);
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

  pose(frame) {
    const {bones, joints, skeleton, spread_mm: spread} = this.motion;
    const up = new THREE.Vector3(0, 1, 0), [a, b, along] = [0, 0, 0].map(() => new THREE.Vector3());
    const turn = new THREE.Quaternion(), size = new THREE.Vector3(), matrix = new THREE.Matrix4(), colour = new THREE.Color();
    bones.forEach(([joint, parent], i) => {
      this.joint(frame, joint, a);
      this.joint(frame, parent, b);
      const length = along.subVectors(a, b).length(), radius = skeleton.bone_mm[joint] / 1000;
      turn.setFromUnitVectors(up, along.normalize());
      this.limbs.setMatrixAt(i, matrix.compose(a.add(b).multiplyScalar(0.5), turn, size.set(radius, length, radius)));
    });
    for (let joint = 0; joint < joints; joint++) {
      const radius = skeleton.ball_mm[joint] / 1000;
      this.balls.setMatrixAt(joint, matrix.compose(this.joint(frame, joint, a), turn.identity(), size.set(radius, radius, radius)));
      this.balls.setColorAt(joint, this.uncertainty(spread[frame * joints + joint], colour));
    }
    this.limbs.instanceMatrix.needsUpdate = this.balls.instanceMatrix.needsUpdate = this.balls.instanceColor.needsUpdate = true;
  }

  uncertainty(mm, colour) {
    const place = Math.min(1, Math.max(0, mm / this.spreadFull || 0)) * (this.ramp.length - 1);
    const from = Math.min(Math.floor(place), this.ramp.length - 2);
    return colour.lerpColors(this.ramp[from], this.ramp[from + 1], place - from);
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
    const [left, right] = ["left_hip", "right_hip"].map(name => this.motion.skeleton.joints.indexOf(name));
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
    this.onview(name);
    step();
  }

  leaveView() {
    this.flight = null;
    this.viewName = "";
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

  resize() {
    const {clientWidth: width, clientHeight: height} = this.canvas.parentElement;
    this.renderer.setSize(width, height, false);
    this.lens.aspect = width / Math.max(1, height);
    this.lens.updateProjectionMatrix();
    if (this.viewName) this.view(this.viewName, false);
    this.render(); // at once: resizing has cleared the canvas
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
