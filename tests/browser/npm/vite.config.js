// The package's workers load only what they use.
export default { worker: { format: 'es' } };
