// Plays random Connect Four on an engine from Node.js, with stubs made from the contract as it runs.
//
//   cd docs/examples/node-client && npm install
//   cartridge serve engine &
//   node play.mjs 127.0.0.1:50051
import path from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const here = path.dirname(fileURLToPath(import.meta.url));
const contract = path.join(here, "../../../proto/engine/v1/engine.proto");
// `longs: String`: a lease's id has 64 bits, more than a number of JavaScript holds.
const { engine } = grpc.loadPackageDefinition(loader.loadSync(contract, { keepCase: true, longs: String }));

const NUM_GAMES = 256, NUM_ACTIONS = 7, STEPS = 200;
const client = new engine.v1.Engine(process.argv[2] ?? "127.0.0.1:50051", grpc.credentials.createInsecure());
const call = (name, message) =>
  new Promise((resolve, reject) => client[name](message, (error, reply) => (error ? reject(error) : resolve(reply))));

const ILLEGAL = 4; // bit of `ends`

function choose(masks) {
  const actions = Buffer.alloc(4 * NUM_GAMES);
  masks.forEach((mask, game) => {
    const legal = [...Array(NUM_ACTIONS).keys()].filter((action) => (mask >> action) & 1);
    actions.writeUInt32LE(legal[Math.floor(Math.random() * legal.length)], 4 * game);
  });
  return actions;
}

try {
  const lease = await call("Acquire", {
    id: { env_id: "connect4" }, num_games: NUM_GAMES, seed: 1, outputs: ["mask:bits7:v1"],
  });
  const stream = client.StepStream();
  const send = (sequence, masks) =>
    stream.write({ lease_id: lease.lease_id, sequence, actions: choose(masks) });
  let steps = 0, over = 0, illegal = 0;
  const began = performance.now();
  send(1, lease.first.tensors[0]);
  for await (const reply of stream) {
    if (reply.error) throw new Error(`step ${reply.sequence} was refused: ${reply.error.message}`);
    over += reply.ends.filter((end) => end).length;
    illegal += reply.ends.filter((end) => end & ILLEGAL).length;
    steps += 1;
    if (steps === STEPS) stream.end();
    else send(steps + 1, reply.tensors[0]);
  }
  const rate = Math.round((1000 * NUM_GAMES * STEPS) / (performance.now() - began));
  await call("Release", { lease_id: lease.lease_id });
  console.log(`${NUM_GAMES * STEPS} moves, ${over} games over, ${illegal} illegal, ${rate.toLocaleString("en")} moves/s`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  client.close();
}
