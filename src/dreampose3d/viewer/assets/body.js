// One person in the scene: a skeleton with volume, the trails of hands and feet, and the other hypotheses as ghosts.

// White where a joint is certain, then darker and darker: the order is told by lightness alone.
const RAMP = ["#ffffff", "#e3b7e0", "#a24aa5", "#3c0a4a"];
const TRAIL_S = 1.2;
const TRAILED = /(wrist|ankle)$/;

class Body {
  constructor(motion, turn, tint, spreadFull) {
    this.motion = motion;
    this.group = new THREE.Group();
    this.spreadFull = spreadFull;
    this.ramp = RAMP.map(colour => new THREE.Color(colour));
    this.frame = -1;
    this.place(turn);
    this.buildFlesh(tint);
    this.buildTrails(tint);
    this.buildGhosts();
  }

  // All joints of all frames in scene coordinates, and how low each frame reaches.
  place(turn) {
    const {motion} = this, {frames, joints} = motion;
    const points = this.points = new Float32Array(frames * joints * 3);
    this.lowest = new Float32Array(frames).fill(Infinity);
    this.toMetres = new THREE.Matrix4().makeRotationFromQuaternion(turn).scale(new THREE.Vector3(1e-3, -1e-3, -1e-3)).elements;
    for (let frame = 0; frame < frames; frame++) {
      for (let joint = 0; joint < joints; joint++) {
        const at = (frame * joints + joint) * 3;
        this.toScene(motion.root_relative_mm, at, frame, points, at);
        if (points[at + 1] < this.lowest[frame]) this.lowest[frame] = points[at + 1];
      }
    }
  }

  // A joint, root-relative, mm, of the camera's axes -> the scene's, written to a place of an array.
  toScene(relative, at, frame, target, place) {
    const {motion: {root_mm: root}, toMetres: m} = this;
    const x = root[frame * 3] + relative[at], y = root[frame * 3 + 1] + relative[at + 1], z = root[frame * 3 + 2] + relative[at + 2];
    for (let axis = 0; axis < 3; axis++) target[place + axis] = m[axis] * x + m[4 + axis] * y + m[8 + axis] * z;
  }

  joint(frame, joint, target = new THREE.Vector3()) {
    return target.fromArray(this.points, (frame * this.motion.joints + joint) * 3);
  }

  root(frame) {
    return this.joint(frame, Math.max(0, this.motion.skeleton.parents.indexOf(-1)));
  }

  // Bones are cylinders in the colour of their side, joints balls in the colour of their uncertainty; pale in frames
  // that show nothing of the person, which are imagined.
  buildFlesh(tint) {
    const {bones, joints, skeleton} = this.motion;
    this.skin = new THREE.MeshLambertMaterial();
    this.paleSkin = new THREE.MeshLambertMaterial({transparent: true, opacity: 0.3});
    this.limbs = new THREE.InstancedMesh(new THREE.CylinderGeometry(1, 1, 1, 28, 1, true), this.skin, bones.length);
    this.balls = new THREE.InstancedMesh(new THREE.SphereGeometry(1, 20, 14), this.skin, joints);
    bones.forEach(([joint], i) => {
      const colour = new THREE.Color(SIDE_COLOUR[skeleton.sides[joint]]);
      this.limbs.setColorAt(i, tint ? colour.lerp(new THREE.Color(tint), 0.75) : colour);
    });
    for (let joint = 0; joint < joints; joint++) this.balls.setColorAt(joint, new THREE.Color());
    for (const mesh of [this.limbs, this.balls]) {
      mesh.castShadow = true;
      mesh.frustumCulled = false;
      mesh.instanceMatrix.setUsage(THREE.DynamicDrawUsage);
      this.group.add(mesh);
    }
  }

  // The path of each hand and foot over the whole clip; a frame shows the last second of it.
  buildTrails(tint) {
    const {frames, joints, skeleton} = this.motion;
    this.trails = new THREE.Group();
    this.trails.visible = false;
    skeleton.joints.forEach((name, joint) => {
      if (!TRAILED.test(name)) return;
      const path = new Float32Array(frames * 3);
      for (let i = 0; i < path.length; i++) path[i] = this.points[(Math.floor(i / 3) * joints + joint) * 3 + i % 3];
      const line = new THREE.BufferGeometry().setAttribute("position", new THREE.BufferAttribute(path, 3));
      const colour = tint || SIDE_COLOUR[skeleton.sides[joint]];
      const trail = new THREE.Line(line, new THREE.LineBasicMaterial({color: colour}));
      trail.frustumCulled = false;
      this.trails.add(trail);
    });
    this.group.add(this.trails);
  }

  // Every hypothesis as thin lines; there are none where the page does not carry them.
  buildGhosts() {
    const {motion} = this, {bones, hypotheses} = motion;
    if (!hypotheses) return;
    const geometry = new THREE.BufferGeometry();
    this.ghostPoints = new Float32Array(hypotheses * bones.length * 6);
    geometry.setAttribute("position", new THREE.BufferAttribute(this.ghostPoints, 3).setUsage(THREE.DynamicDrawUsage));
    this.ghosts = new THREE.LineSegments(geometry, new THREE.LineBasicMaterial({color: "#1f2733", transparent: true, opacity: 0.5, depthTest: false}));
    this.ghosts.frustumCulled = this.ghosts.visible = false;
    this.ghosts.renderOrder = 1; // after the flesh, which would hide those that agree with it
    this.group.add(this.ghosts);
  }

  show(frame) {
    this.frame = frame;
    this.poseFlesh(frame);
    const first = Math.max(0, frameAt(this.motion, this.motion.time_s[frame] - TRAIL_S));
    for (const trail of this.trails.children) trail.geometry.setDrawRange(first, frame - first + 1);
    if (this.ghosts?.visible) this.poseGhosts(frame);
  }

  poseFlesh(frame) {
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
    this.limbs.material = this.balls.material = this.seen(frame) ? this.skin : this.paleSkin;
    this.limbs.instanceMatrix.needsUpdate = this.balls.instanceMatrix.needsUpdate = this.balls.instanceColor.needsUpdate = true;
  }

  seen(frame) {
    const {confidence, joints} = this.motion;
    return confidence.subarray(frame * joints, (frame + 1) * joints).some(sure => sure > 0);
  }

  poseGhosts(frame) {
    const {bones, joints, hypotheses, hypotheses_mm: poses} = this.motion;
    let place = 0;
    for (let h = 0; h < hypotheses; h++) {
      for (const bone of bones) {
        for (const joint of bone) {
          const at = ((frame * hypotheses + h) * joints + joint) * 3;
          this.toScene(poses, at, frame, this.ghostPoints, place);
          place += 3;
        }
      }
    }
    this.ghosts.geometry.attributes.position.needsUpdate = true;
  }

  uncertainty(mm, colour) {
    const place = Math.min(1, Math.max(0, mm / this.spreadFull || 0)) * (this.ramp.length - 1);
    const from = Math.min(Math.floor(place), this.ramp.length - 2);
    return colour.lerpColors(this.ramp[from], this.ramp[from + 1], place - from);
  }
}
