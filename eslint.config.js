import { defineConfig } from 'eslint/config';
import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';

/**
 * The layers, each importing only downwards: main and wiring → commands, hooks and jobs, with what they share in operations
 * → domain; adapters → domain. All of them reach adapters through `src/domain/ports.ts`.
 */
const layers = {
  entry: {
    regex: '\\./(.*/)?(main|wiring)(\\.[a-z]+)?$',
    message: 'The entry wires the layers: nothing below imports it.',
  },
  commands: {
    regex: '\\./(.*/)?(commands|hooks|jobs)(/|$)',
    message: 'Only the entry imports commands, hooks and jobs.',
  },
  operations: {
    regex: '\\./(.*/)?operations(/|$)',
    message: 'Only commands and hooks import operations.',
  },
  adapters: {
    regex: '\\./(.*/)?adapters(/|$)',
    message: 'Take the adapter as an argument, typed by a port of src/domain/ports.ts.',
  },
};

const starters = {
  regex: '^(node:)?(child_process|cluster)$|^execa$',
  message: 'src/adapters/process.ts is the one module that starts processes.',
};

const processModule = {
  regex: '^(node:)?process$',
  message: 'Use the global `process`: the rules watch its members by that name.',
};

const pureBuiltins = ['buffer', 'crypto', 'path', 'path/posix', 'string_decoder', 'url', 'util'];
const impureModules = [
  {
    regex: `^node:(?!(${pureBuiltins.join('|')})$)|^(${builtinModules.join('|')})$`,
    message: 'The domain is pure: input and output belong in an adapter. Types may be imported.',
    allowTypeImports: true,
  },
  {
    regex: '^(?!\\.|node:|(zod|semver|jsonc-parser|ssh2-streams)(/|$))',
    message:
      'Of packages the domain uses zod, semver, jsonc-parser and the key parser of ssh2-streams. Types may be imported.',
    allowTypeImports: true,
  },
];

const impureGlobals = [
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'fetch',
  'globalThis',
  'global',
];
const impureSyntax = [
  {
    selector: [
      'MemberExpression[object.name="Date"][property.name="now"]',
      'NewExpression[callee.name="Date"][arguments.length=0]',
      'CallExpression[callee.name="Date"]',
      'MemberExpression[object.name="performance"]',
    ].join(', '),
    message: 'The domain has no clock: take the time as an argument.',
  },
  {
    selector: [
      'MemberExpression[object.name="Math"][property.name="random"]',
      'MemberExpression[property.name="getRandomValues"]',
      'Identifier[name=/^random(UUID|Bytes|Int|Fill|FillSync)$/]',
    ].join(', '),
    message: 'The domain leaves nothing to chance: take random values as an argument.',
  },
];

const exits = {
  selector: [
    'MemberExpression[object.name="process"][property.name=/^(exit|exitCode|abort|reallyExit)$/]',
    'MemberExpression[object.name="process"][computed=true]',
    'VariableDeclarator[init.name="process"] > ObjectPattern',
  ].join(', '),
  message: 'Only src/main.ts ends the process: throw an error that it maps to an exit status.',
};

const hiddenImports = {
  selector: 'ImportExpression, TSImportType',
  message: 'Import by declaration: the rules for the layers see nothing else.',
};

/**
 * @param {...{ regex: string, message: string, allowTypeImports?: boolean }} patterns
 * @returns {import('eslint').Linter.RulesRecord}
 */
const forbidImports = (...patterns) => ({
  '@typescript-eslint/no-restricted-imports': ['error', { patterns: [processModule, ...patterns] }],
});

export default defineConfig(
  { ignores: ['build/'] },
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'test/run.js', 'scripts/*.js', 'eslint.config.js'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_$', varsIgnorePattern: '^_$', destructuredArrayIgnorePattern: '^_$' },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      eqeqeq: 'error',
      'no-eval': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-syntax': ['error', exits, hiddenImports],
    },
  },
  {
    files: ['src/main.ts'],
    rules: {
      ...forbidImports(starters),
      'no-restricted-syntax': ['error', hiddenImports],
    },
  },
  {
    files: ['src/wiring.ts'],
    rules: forbidImports(starters, layers.entry),
  },
  {
    files: ['src/{commands,hooks,jobs}/**/*.ts'],
    rules: forbidImports(starters, layers.entry, layers.adapters),
  },
  {
    files: ['src/operations/**/*.ts'],
    rules: forbidImports(starters, layers.entry, layers.commands, layers.adapters),
  },
  {
    files: ['src/adapters/**/*.ts'],
    rules: forbidImports(starters, layers.entry, layers.commands, layers.operations),
  },
  {
    files: ['src/adapters/process.ts'],
    rules: forbidImports(layers.entry, layers.commands, layers.operations),
  },
  {
    files: ['src/domain/**/*.ts'],
    rules: {
      ...forbidImports(layers.entry, layers.commands, layers.operations, layers.adapters, ...impureModules),
      'no-restricted-globals': [
        'error',
        ...impureGlobals.map((name) => ({
          name,
          message: 'The domain is pure: take what it needs as an argument.',
        })),
      ],
      'no-restricted-syntax': ['error', exits, hiddenImports, ...impureSyntax],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts', 'src/wiring.ts', 'src/{commands,hooks,jobs,operations,domain,adapters}/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'Program',
          message: 'A module belongs in a layer: commands, hooks, jobs, operations, domain or adapters.',
        },
      ],
    },
  },
);
