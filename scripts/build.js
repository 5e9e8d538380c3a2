import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundle, root } from './bundle.js';
import { schemaFile, schemaText } from './schema.js';

await bundle('build/flight-launch.cjs');
const schema = await schemaText();
mkdirSync(dirname(join(root, schemaFile)), { recursive: true });
writeFileSync(join(root, schemaFile), schema);
