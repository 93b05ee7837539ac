// How the TypeScript client is generated: the SDK has a function for each operation, and needs nothing but fetch.
export default {
  input: 'openapi.json',
  output: { path: 'generated', tsConfigPath: './tsconfig.json', importFileExtension: '.js' },
  plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
  logs: { file: false },
};
