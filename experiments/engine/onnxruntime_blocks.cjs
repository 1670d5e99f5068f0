// node onnxruntime_blocks.cjs NPM_FOLDER BATCH MODEL...: the protocol of
// blocks_main.cc for ONNX Runtime, one thread. Calls the addon's synchronous
// run(): the promise that the package wraps around it costs more than a small
// network.
const path = require('path');
const readline = require('readline');

function open(ort, binding, model, batch) {
  const session = new binding.InferenceSession();
  session.loadModel(model, {
    intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential',
    graphOptimizationLevel: 'all', logSeverityLevel: 3});
  const feeds = {};
  for (const input of session.inputMetadata) {
    const shape = input.shape.map((size) => (size < 0 ? batch : size));
    const count = shape.reduce((a, b) => a * b, 1);
    feeds[input.name] = input.type === 7 ?
        new ort.Tensor('int64', new BigInt64Array(count), shape) :
        new ort.Tensor(
            'float32', Float32Array.from({length: count}, Math.random), shape);
  }
  const fetches = {};
  for (const output of session.outputMetadata) fetches[output.name] = null;
  return () => session.run(feeds, fetches, {});
}

function timeBlock(run, seconds) {
  for (let i = 0; i < 2; ++i) run();
  const timesUs = [];
  for (let spent = 0; spent < seconds * 1e6;) {
    const start = process.hrtime.bigint();
    run();
    const us = Number(process.hrtime.bigint() - start) / 1e3;
    spent += us;
    timesUs.push(us);
  }
  return timesUs;
}

function main() {
  const [npmFolder, batch, ...models] = process.argv.slice(2);
  const folder = path.join(npmFolder, 'node_modules', 'onnxruntime-node');
  const ort = require(folder);
  const {binding, initOrt} = require(path.join(folder, 'dist', 'binding.js'));
  initOrt();
  const runs = models.map((model) => open(ort, binding, model, Number(batch)));
  process.stdout.write('ready\n');
  readline.createInterface({input: process.stdin}).on('line', (line) => {
    const [index, seconds] = line.split(' ').map(Number);
    process.stdout.write(JSON.stringify(timeBlock(runs[index], seconds)) + '\n');
  });
}

main();
