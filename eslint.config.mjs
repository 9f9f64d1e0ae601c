// Lint rules: typescript-eslint's strict, type-checked set for TypeScript; the layer rule for src/;
// and what the engine may not touch. Formatting is Prettier's alone.

import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';
import { layersPlugin } from './scripts/layers.mjs';

const nodeGlobals = Object.fromEntries(
  [
    'AbortController',
    'AbortSignal',
    'Buffer',
    'TextDecoder',
    'TextEncoder',
    'URL',
    'clearTimeout',
    'console',
    'process',
    'performance',
    'setImmediate',
    'setTimeout',
    'clearInterval',
    'setInterval',
    'structuredClone',
  ].map((name) => [name, 'readonly']),
);

export default tseslint.config(
  { ignores: ['build/', 'dist/', 'prebuilds/', '**/node_modules/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: nodeGlobals },
    rules: { eqeqeq: 'error', 'prefer-const': 'error' },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // A union that grows must break every switch over it; a `default` does not count as handling.
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allow: [{ name: ['Error', 'URL'], from: 'lib' }] },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // `bytes[i]!` after a bounds check is honest; the `?? 0` written to avoid it would hide a missing one.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // A method may be async because its interface is.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['after', 'before', 'describe', 'it', 'suite', 'test'],
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { vmkd: layersPlugin },
    rules: { 'vmkd/layers': 'error' },
  },
  {
    // The engine is a library: it reports through values, events and typed errors.
    files: ['src/engine/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        ...['exit', 'abort', 'stdout', 'stderr', 'stdin'].map((property) => ({
          object: 'process',
          property,
          message: 'The engine neither ends the process nor talks to its streams.',
        })),
      ],
      'no-restricted-imports': [
        'error',
        { name: 'node:console', message: 'The engine does not print.' },
        { name: 'node:process', message: 'Use the global, so that the rules about it hold.' },
      ],
    },
  },
  {
    // What a guest says is never markup.
    files: ['src/extension/pages/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            'MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|createContextualFragment|write|writeln)$/]',
          message: 'Pages put text into the document as text: element(), textContent.',
        },
      ],
    },
  },
  {
    files: ['**/*.test.ts', 'test/**/*.ts'],
    rules: {
      // A test may doubt what the types promise.
      '@typescript-eslint/no-unnecessary-condition': 'off',
    },
  },
);
