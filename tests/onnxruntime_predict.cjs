// node onnxruntime_predict.cjs NPM_FOLDER MODEL FLOATS SHAPE: prints the model's
// first output on the float32 input of the given shape, as a JSON array.
const fs = require('fs');
const path = require('path');

async function main() {
  const [npmFolder, model, floats, shapeText] = process.argv.slice(2);
  const ort = require(path.join(npmFolder, 'node_modules', 'onnxruntime-node'));
  const shape = shapeText.split(',').map(Number);
  const bytes = fs.readFileSync(floats);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const session = await ort.InferenceSession.create(model, {intraOpNumThreads: 1});
  const outputs = await session.run(
      {[session.inputNames[0]]: new ort.Tensor('float32', values, shape)});
  const first = outputs[session.outputNames[0]];
  process.stdout.write(JSON.stringify(Array.from(first.data)));
}

main().catch((error) => {
  process.stderr.write(String(error) + '\n');
  process.exit(1);
});
