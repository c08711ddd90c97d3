// Runs the digits in WebAssembly:  node wasm.mjs PROGRAM.wasm
import { readFileSync } from "node:fs";

let [seen, agreeing] = [0, 0];
const report = (index, cluster, confidence, novelty, agrees) => {
    seen += 1;
    agreeing += agrees;
    const line = `digit ${index}: cluster ${cluster}, confidence ${confidence.toFixed(4)}, novelty ${novelty.toFixed(4)}`;
    console.log(agrees ? line : `${line}: the host says otherwise`);
};
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { env: { report } });
if (!instance.exports.run() || seen !== 100 || agreeing !== seen) {
    console.error(`failed: ${agreeing} of ${seen} digits are as the host says`);
    process.exit(1);
}
