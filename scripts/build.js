import { bundle } from './bundle.js';

await bundle('build/flight-launch.cjs');
