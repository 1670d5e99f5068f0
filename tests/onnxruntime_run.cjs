// node onnxruntime_run.cjs NPM_FOLDER: reads one JSON request a line from
// standard input, {model, inputs: {name: {type, shape, file}}, outputs: prefix},
// runs it in ONNX Runtime without its rewriting of graphs, writes each output's
// bytes to <prefix><index>.bin and answers {outputs: [{name, type, shape}]} or
// {error}, a line each.
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const ARRAYS = {
  float32: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
};

function readTensor(ort, {type, shape, file}) {
  const bytes = fs.readFileSync(file);
  const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return new ort.Tensor(type, new ARRAYS[type](own), shape);
}

async function answer(ort, request) {
  const session = await ort.InferenceSession.create(request.model, {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    graphOptimizationLevel: request.optimize ? 'all' : 'disabled',
  });
  const feeds = {};
  for (const [name, input] of Object.entries(request.inputs)) {
    feeds[name] = readTensor(ort, input);
  }
  const results = await session.run(feeds);
  const outputs = session.outputNames.map((name, index) => {
    const {data, type, dims} = results[name];
    fs.writeFileSync(
        `${request.outputs}${index}.bin`,
        Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    return {name, type, shape: dims};
  });
  return {outputs};
}

async function main() {
  const ort = require(path.join(process.argv[2], 'node_modules', 'onnxruntime-node'));
  for await (const line of readline.createInterface({input: process.stdin})) {
    let result;
    try {
      result = await answer(ort, JSON.parse(line));
    } catch (error) {
      result = {error: String(error)};
    }
    process.stdout.write(JSON.stringify(result) + '\n');
  }
}

main();
