# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as an Open Job Description template, version jobtemplate-2023-09, and as a job bundle of AWS Deadline
Cloud, which takes the same template with its parameters and attachments beside it."""

from collections.abc import Sequence

EXTENSION = "lca_blender.zip"
# Installs the extension for this session alone, where the folder brings it.
ENTER = f"""set -euo pipefail
FOLDER='{{{{Param.JobFolder}}}}'
if [ -f "$FOLDER/{EXTENSION}" ]; then
  export BLENDER_USER_RESOURCES='{{{{Session.WorkingDirectory}}}}/blender'
  mkdir -p "$BLENDER_USER_RESOURCES"
  echo "openjd_env: BLENDER_USER_RESOURCES=$BLENDER_USER_RESOURCES"
  {{{{Param.Blender}}}} --background --command extension install-file --repo user_default --enable "$FOLDER/{EXTENSION}"
fi
"""  # noqa: E501
RENDER = """set -euo pipefail
{{Param.Command}} '{{Param.JobFolder}}/job.json' --workers {{Param.Workers}} \\
  --frames={{Task.Param.Frames}} --lights={{Task.Param.Lights}}
"""
FINISH = """set -euo pipefail
{{Param.Command}} '{{Param.JobFolder}}/job.json' --workers {{Param.Workers}}
"""


def template(name: str, folder: str, frames: Sequence[str], lights: Sequence[str]) -> dict:
    """The template: a task for each of the chunks of frames ("1-8") times those of lights ("1-5"), then one
    that makes the films and the sheet, and any picture that is missing."""
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "name": name[:128],
        "parameterDefinitions": [
            {
                "name": "JobFolder",
                "type": "PATH",
                "objectType": "DIRECTORY",
                "dataFlow": "INOUT",
                "description": "The folder of job.json; the pictures are written below it",
                "default": folder,
            },
            {"name": "Blender", "type": "STRING", "default": "blender"},
            {
                "name": "Command",
                "type": "STRING",
                "description": "What renders a job file",
                "default": "blender --background --command lca_relit",
            },
            {"name": "Workers", "type": "INT", "minValue": 1, "maxValue": 256, "default": 1},
        ],
        "jobEnvironments": [{"name": "Extension", "script": _bash("onEnter", ENTER)}],
        "steps": [
            {
                "name": "Render",
                "parameterSpace": {
                    "taskParameterDefinitions": [
                        {"name": "Frames", "type": "STRING", "range": list(frames)},
                        {"name": "Lights", "type": "STRING", "range": list(lights)},
                    ]
                },
                "script": _bash("onRun", RENDER),
            },
            {
                "name": "Finish",
                "dependencies": [{"dependsOn": "Render"}],
                "script": _bash("onRun", FINISH),
            },
        ],
    }


def parameter_values(folder: str) -> dict:
    """The values of a bundle's parameters."""
    return {"parameterValues": [{"name": "JobFolder", "value": folder}]}


def asset_references(files: Sequence[str], folder: str) -> dict:
    """What goes to the farm's storage before the job and comes back after it; absolute paths."""
    return {
        "assetReferences": {
            "inputs": {"directories": [], "filenames": sorted(files)},
            "outputs": {"directories": [folder]},
            "referencedPaths": [],
        }
    }


def _bash(action: str, text: str) -> dict:
    file = {"name": "Script", "type": "TEXT", "filename": "script.sh", "runnable": True, "data": text}
    place = "{{Env.File.Script}}" if action == "onEnter" else "{{Task.File.Script}}"
    return {"embeddedFiles": [file], "actions": {action: {"command": "bash", "args": [place]}}}
