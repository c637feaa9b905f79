# SPDX-License-Identifier: GPL-3.0-or-later
"""Bone names as rigs of each family have them, extra bones included; and what some of them must move."""

FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")


def both(names, *sides):
    return [name.replace("#", side) for side in sides for name in names]


def rig(middle, sided, *sides):
    return [*middle, *both(sided, *sides)]


MIXAMO = rig(
    ["Hips", "Spine", "Spine1", "Spine2", "Neck", "Head", "HeadTop_End"],
    ["#Shoulder", "#Arm", "#ForeArm", "#Hand", "#UpLeg", "#Leg", "#Foot", "#ToeBase", "#Toe_End", "#Eye"]
    + [f"#Hand{finger}{i}" for finger in FINGERS for i in (1, 2, 3, 4)],
    "Left",
    "Right",
)

UNREAL_5 = rig(
    ["root", "pelvis", *(f"spine_0{i}" for i in range(1, 6)), "neck_01", "neck_02", "head"],
    [
        "clavicle_#",
        "upperarm_#",
        "upperarm_twist_01_#",
        "lowerarm_#",
        "lowerarm_twist_01_#",
        "hand_#",
        "thigh_#",
    ]
    + ["thigh_twist_01_#", "calf_#", "calf_twist_01_#", "foot_#", "ball_#", "ik_foot_#", "ik_hand_#"]
    + [f"{finger.lower()}_0{i}_#" for finger in FINGERS for i in (1, 2, 3)]
    + [f"{finger.lower()}_metacarpal_#" for finger in FINGERS[1:]],
    "l",
    "r",
)

VROID = rig(
    [
        "Root",
        *(f"J_Bip_C_{name}" for name in ("Hips", "Spine", "Chest", "UpperChest", "Neck", "Head")),
    ],
    ["J_Adj_#_FaceEye", "J_Sec_#_Bust1", "J_Bip_#_Shoulder", "J_Bip_#_UpperArm", "J_Bip_#_LowerArm"]
    + ["J_Bip_#_Hand", "J_Bip_#_UpperLeg", "J_Bip_#_LowerLeg", "J_Bip_#_Foot", "J_Bip_#_ToeBase"]
    + [f"J_Bip_#_{f}{i}" for f in ("Thumb", "Index", "Middle", "Ring", "Little") for i in (1, 2, 3)],
    "L",
    "R",
)

VRM_1 = rig(
    ["hips", "spine", "chest", "upperChest", "neck", "head", "jaw"],
    ["#Eye", "#Shoulder", "#UpperArm", "#LowerArm", "#Hand", "#UpperLeg", "#LowerLeg", "#Foot", "#Toes"]
    + ["#ThumbMetacarpal", "#ThumbProximal", "#ThumbDistal"]
    + [
        f"#{finger}{part}"
        for finger in ("Index", "Middle", "Ring", "Little")
        for part in ("Proximal", "Intermediate", "Distal")
    ],
    "left",
    "right",
)

BIPED = [f"Bip001 {name}" for name in ("Pelvis", "Spine", "Spine1", "Spine2", "Neck", "Head", "HeadNub")]
BIPED += [
    f"Bip001 {name}"
    for name in both(
        [
            "# Clavicle",
            "# UpperArm",
            "# Forearm",
            "# Hand",
            "# Thigh",
            "# Calf",
            "# Foot",
            "# Toe0",
            "# Toe0Nub",
        ]
        + [f"# Finger{i}{j}" for i in range(5) for j in ("", "1", "2", "Nub")],
        "L",
        "R",
    )
]

CMU = [
    *("Hips", "LHipJoint", "RHipJoint", "LowerBack", "Spine", "Spine1", "Neck", "Neck1", "Head"),
    *both(["#UpLeg", "#Leg", "#Foot", "#ToeBase", "#Shoulder", "#Arm", "#ForeArm", "#Hand"], "Left", "Right"),
    *both(["#FingerBase", "#HandFinger1"], "Left", "Right"),
    "LThumb",
    "RThumb",
]

BVH = rig(
    ["Hips", "Chest", "Neck", "Head"],
    ["#Collar", "#Shoulder", "#Elbow", "#Wrist", "#Hip", "#Knee", "#Ankle", "#Toe"],
    "Left",
    "Right",
)

SMPLX = rig(
    ["root", "pelvis", "spine1", "spine2", "spine3", "neck", "head", "jaw"],
    ["#_eye_smplhf", "#_collar", "#_shoulder", "#_elbow", "#_wrist", "#_hip", "#_knee", "#_ankle", "#_foot"]
    + [f"#_{finger.lower()}{i}" for finger in FINGERS for i in (1, 2, 3)],
    "left",
    "right",
)

MPFB = rig(
    [
        "root",
        *(f"spine0{i}" for i in range(1, 6)),
        "neck01",
        "neck02",
        "neck03",
        "head",
        "jaw",
        "tongue00",
    ],
    ["clavicle.#", "shoulder01.#", "upperarm01.#", "upperarm02.#", "lowerarm01.#", "lowerarm02.#", "wrist.#"]
    + [
        "pelvis.#",
        "upperleg01.#",
        "upperleg02.#",
        "lowerleg01.#",
        "lowerleg02.#",
        "foot.#",
        "eye.#",
        "special05.#",
    ]
    + [f"finger{i}-{j}.#" for i in range(1, 6) for j in (1, 2, 3)]
    + [f"metacarpal{i}.#" for i in range(1, 5)]
    + [f"toe{i}-1.#" for i in range(1, 6)],
    "L",
    "R",
)

MHR_SIDED = (
    ["#_upleg", "#_lowleg", "#_foot", "#_talocrural", "#_subtalar", "#_transversetarsal", "#_ball"]
    + [f"#_lowleg_twist{i}_proc" for i in (1, 2, 3, 4)]
    + [f"#_upleg_twist{i}_proc" for i in range(5)]
    + ["#_clavicle", "#_uparm", "#_lowarm", "#_wrist_twist", "#_wrist"]
    + [f"#_pinky{i}" for i in range(4)]
    + [f"#_{finger}{i}" for finger in ("ring", "middle", "index") for i in (1, 2, 3)]
    + [f"#_thumb{i}" for i in range(4)]
    + [f"#_{finger}_null" for finger in ("pinky", "ring", "middle", "index", "thumb", "eye")]
    + [f"#_lowarm_twist{i}_proc" for i in (1, 2, 3, 4)]
    + [f"#_uparm_twist{i}_proc" for i in range(5)]
    + ["#_eye"]
)
MHR = [
    *("body_world", "root", "c_spine0", "c_spine1", "c_spine2", "c_spine3", "c_neck", "c_neck_twist1_proc"),
    *("c_neck_twist0_proc", "c_head", "c_jaw", "c_teeth", "c_jaw_null", "c_head_null"),
    *(f"c_tongue{i}" for i in range(5)),
    *both(MHR_SIDED, "l", "r"),
]

# family -> (names, joints that must be found as given)
LISTS = {
    "mixamo": (
        MIXAMO,
        {
            "spine2": "Spine1",
            "upper_arm.L": "LeftArm",
            "clavicle.R": "RightShoulder",
            "pinky3.R": "RightHandPinky3",
        },
    ),
    "unreal": (
        UNREAL_5,
        {"pelvis": "pelvis", "forearm_twist.L": "lowerarm_twist_01_l", "ring2.R": "ring_02_r"},
    ),
    "vrm": (
        VROID,
        {"spine3": "J_Bip_C_UpperChest", "pinky1.L": "J_Bip_L_Little1", "eye.R": "J_Adj_R_FaceEye"},
    ),
    "vrm 1.0": (VRM_1, {"thumb2.L": "leftThumbProximal", "thumb1.R": "rightThumbMetacarpal", "jaw": "jaw"}),
    "biped": (
        BIPED,
        {"shin.L": "Bip001 L Calf", "index2.R": "Bip001 R Finger11", "thumb1.L": "Bip001 L Finger0"},
    ),
    "cmu": (
        CMU,
        {"spine1": "LowerBack", "thigh.R": "RightUpLeg", "clavicle.L": "LeftShoulder", "neck2": "Neck1"},
    ),
    "bvh": (
        BVH,
        {"upper_arm.L": "LeftShoulder", "hand.R": "RightWrist", "thigh.L": "LeftHip", "foot.R": "RightAnkle"},
    ),
    "smplx": (
        SMPLX,
        {"foot.L": "left_ankle", "toe.L": "left_foot", "hand.R": "right_wrist", "pelvis": "pelvis"},
    ),
    "mpfb": (
        MPFB,
        {"pelvis": "root", "hand.L": "wrist.L", "thumb1.R": "finger1-1.R", "shin.L": "lowerleg01.L"},
    ),
    "mhr": (
        MHR,
        {"pelvis": "root", "hand.L": "l_wrist", "forearm_twist.R": "r_wrist_twist", "pinky1.L": "l_pinky1"},
    ),
}
