// SPDX-License-Identifier: GPL-3.0-or-later
// A job type of Flamenco 3: put it into the folder "scripts" beside flamenco-manager, and restart that.
// Every task renders some frames under some lights of a job file (docs/farm.md); the last one makes the films.

const JOB_TYPE = {
    label: "LCA Relit Sequences",
    description: "Render a job file of LCA for artists: avatars under many lights",
    settings: [
        { key: "job_file", type: "string", subtype: "file_path", required: true, visible: "visible",
          description: "job.json, on the farm's shared storage" },
        { key: "frames", type: "string", required: true,
          eval: "f'{C.scene.frame_start}-{C.scene.frame_end}'",
          description: "Frames to render, for instance '1-24, 30'" },
        { key: "chunk_size", type: "int32", default: 8, description: "Frames of one task" },
        { key: "lights", type: "int32", required: true, eval: "len(C.scene.lca.relit.lights)",
          description: "Number of lights in the job" },
        { key: "lights_per_task", type: "int32", default: 20, description: "Lights of one task" },
        { key: "workers", type: "int32", default: 1, visible: "submission",
          description: "Processes that a task may use" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const finish = relitTask("finish", "misc", settings, []);
    for (const frames of frameChunker(settings.frames, settings.chunk_size)) {
        for (const lights of lightChunks(settings.lights, settings.lights_per_task)) {
            const name = "frames " + frames + ", lights " + lights;
            const task = relitTask(name, "blender", settings, ["--frames=" + frames, "--lights=" + lights]);
            finish.addDependency(task);
            job.addTask(task);
        }
    }
    job.addTask(finish);
}

function relitTask(name, type, settings, options) {
    const task = author.Task(name, type);
    const args = ["--background", "--command", "lca_relit", settings.job_file,
                  "--workers", String(settings.workers)];
    task.addCommand(author.Command("exec", { exe: "{blender}", args: args.concat(options) }));
    return task;
}

// 12 lights by 5: "1-5", "6-10", "11-12"
function lightChunks(count, size) {
    const chunks = [];
    for (let first = 1; first <= count; first += size) {
        chunks.push(first + "-" + Math.min(first + size - 1, count));
    }
    return chunks;
}
