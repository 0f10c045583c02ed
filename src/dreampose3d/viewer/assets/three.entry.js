// What the page uses of three.js; three.bundle.js is made from this file (see README.md beside it).
export {
  BufferAttribute, BufferGeometry, Color, CylinderGeometry, DirectionalLight,
  DynamicDrawUsage, Fog, HemisphereLight, InstancedMesh, Line, LineBasicMaterial, Matrix4, Mesh,
  MeshLambertMaterial, PerspectiveCamera, PlaneGeometry, Quaternion, Scene,
  ShaderMaterial, ShadowMaterial, SphereGeometry, Vector3, WebGLRenderer,
} from "three";
export { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
