"""Every word the page says. Sentence case; units in labels; amounts in what the user can count."""

TITLE = "Rays as Pixels"
TAGLINE = "Read the camera path off a video, edit it, and film the scene again along it."

TAB_VIDEO, TAB_EDIT, TAB_GENERATE = "1 Video", "2 Edit", "3 Regenerate"
TAB_LOOP, TAB_IMAGINE = "4 Loop check", "Imagine"

VIDEO_INTRO = "Upload a short video, or pick an example, and estimate how its camera moved."
VIDEO_LABEL = "Video (mp4, mov, webm, mkv)"
EXAMPLES_LABEL = "Examples"
FRAMES_LABEL = "Frames to use"
START_LABEL, END_LABEL = "Start (s)", "End (s)"
START_INFO, END_INFO = "Beginning", "End"
ESTIMATE_BUTTON = "Estimate camera path"
ADVANCED = "Advanced settings"
STEPS_LABEL = "Denoising steps"
ESTIMATE_STEPS_LABEL = "Denoising steps of the estimates"
RUNS_LABEL = "Runs to average"
RUNS_INFO = "Each from different noise."
SHARED_FOCAL_LABEL = "The lens does not zoom"
SEED_LABEL, LOCK_LABEL = "Seed", "Lock seed"
SEED_INFO = "The same seed gives the same result. Unlocked, each run takes a new one."
GUIDANCE_LABEL = "Guidance scale"
GUIDANCE_INFO = "1 is none; more follows the image and path harder."

EDIT_INTRO = "Take a preset or the estimated path, then change the keyframes below."
PRESET_LABEL = "Preset"
AMOUNT_NAME = "Amount"
AMOUNT_LABEL = "Amount ({unit})"
PIVOT_LABEL = "Distance of the subject (scene units)"
PIVOT_INFO = "1 is the median depth of the first frame."
PRESET_BUTTON = "Use preset"
FROM_ESTIMATE_BUTTON = "Start from estimated path"
KEYS_LABEL = "Keyframes"
TABLE_LABEL = "Keyframes of the edited path"
TABLE_HEADERS = (
    "Time (s)",
    "X right (u)",
    "Y down (u)",
    "Z fwd (u)",
    "Yaw (deg)",
    "Pitch (deg)",
    "Roll (deg)",
    "hFOV (deg)",
)
TABLE_HINT = (
    "u: scene units. Yaw looks right, pitch up, roll leans clockwise. Every change is drawn at "
    "once: a smooth curve through the keyframes, whose frames are exactly what the model gets."
)
APPLY_BUTTON = "Apply table"

GENERATE_INTRO = "Film the scene again: the first frame, moved along a path."
PATH_CHOICE_LABEL = "Path"
PATH_EDITED, PATH_ESTIMATED = "Edited path", "Estimated path"
IMAGE_LABEL = "Another first frame (optional)"
GENERATE_BUTTON = "Generate video"
GENERATED_LABEL = "Generated video"

LOOP_INTRO = (
    "Estimate the path, generate the video along it from its first frame, estimate again: "
    "a model that agrees with itself gets the same path twice."
)
LOOP_BUTTON = "Run the loop"
LOOP_VIDEO_LABEL = "Video generated along the estimated path"
LOOP_EMPTY = "No result yet."

IMAGINE_INTRO = "From one image, imagine a video and the camera path that filmed it."
IMAGINE_IMAGE_LABEL = "Image"
IMAGINE_FPS_LABEL = "Frame rate (frames per second)"
IMAGINE_BUTTON = "Imagine a video"
IMAGINED_LABEL = "Imagined video"

PLOT_LABEL = "Camera path"
PLOT_EMPTY = "The camera path appears here."
PLOT_HELP = "Drag to turn, scroll to zoom, hover for numbers; the slider marks one frame."
PLOT_FRAME = "Frame"
PLOT_PLAY, PLOT_PAUSE = "Play", "Pause"
OVERLAY_LABEL = "Compare with"
OVERLAY_NONE = "Nothing"
PATH_NAMES = {
    "estimated": PATH_ESTIMATED,
    "edited": PATH_EDITED,
    "truth": "True path",
    "again": "Estimated again",
    "imagined": "Imagined path",
    "generated": "Requested path",
}
CLIP_LABEL = "Frames used"
SHEET_LABEL = "Frames above, their raxels below"
DOWNLOADS_LABEL = "Downloads"
STOP_BUTTON = "Stop"

STATUS_LOADING = "loading"
STATUS_NO_MODEL = "No model"
STATUS_DEVICE, STATUS_MODEL, STATUS_TRAINED = "Device", "Model", "Trained on"

JOB_NAMES = {
    "estimate": "Estimate camera path",
    "generate": "Generate video",
    "imagine": "Imagine a video",
    "loop": "Loop check",
}
JOB_STATES = {
    "queued": "Waiting",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Stopped",
    "interrupted": "Interrupted",
}
JOB_IDLE = "Ready."
JOB_STOPPING = "Stopping after this step"

NEED_VIDEO = "a video must be chosen; got none. Upload one or pick an example."
NEED_IMAGE = "an image must be chosen; got none. Upload one."
NEED_ESTIMATE = "a path must be estimated first; got none. Press '{button}' in '{tab}'."
NEED_EDITED = "a path must be edited first; got none. Use a preset in '{tab}'."
NEED_FRAMES = "frames must be a whole number 4k+1 from 5 to {most}; got {value}. Use 9."
NEED_NUMBER = "{name} must be a {kind} from {low:g} to {high:g}; got {value}. Change it."
NEED_CELL = "{name} must be a number in row {row}; got {value!r}. Write a number there."
NEED_ROWS = "the table must have {most} rows or fewer; got {count}. Remove some."
UNKNOWN_CHOICE = "{name} must be one of {known}; got {value!r}. Pick one of these."
UNKNOWN_EXAMPLE = "example must be one of the {count} shown; got {index}. Pick another."
MODEL_MISSING = "{error}"


def duration(seconds: float) -> str:
    """Say a duration the way one reads a clock: '8 s', '2 min 5 s'."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def queue_note(position: int) -> str:
    """Say how many jobs go first."""
    return "Starts next" if position == 0 else f"{position} job{'s' * (position > 1)} before it"


def path_facts(
    frames: int, length: float, turn_deg: float, hfov_deg: tuple[float, float], seconds: float
) -> str:
    """Describe a path in numbers."""
    low, high = hfov_deg
    lens = f"{low:.1f} deg" if high - low < 0.05 else f"{low:.1f} to {high:.1f} deg"
    return (
        f"{frames} frames over {seconds:.2f} s; the camera travels {length:.2f} scene units and "
        f"turns {turn_deg:.1f} deg in all; hFOV {lens}."
    )


def clip_facts(source: dict, used: list[int], notes: list[str]) -> str:
    """Say which frames of the input are used, and what was done to them."""
    shown = ", ".join(str(index) for index in used[:12]) + (", ..." if len(used) > 12 else "")
    lines = [
        f"**{source['width']} x {source['height']}** pixels, {source['num_frames']} frames, "
        f"{source['duration_sec']:.1f} s, {source['codec']}. Used: {len(used)} frames ({shown})."
    ]
    return "\n".join([*lines, *(f"- {note}" for note in notes)])


def loop_sentence(rotation_deg: float, translation: float, psnr_db: float) -> str:
    """Say in plain words what the three numbers of the loop mean."""
    return (
        f"On average each camera of the second path points {rotation_deg:.2f} deg away from the "
        f"first and lies {100 * translation:.0f} % of the path's reach off; the regenerated frames "
        f"match the input at {psnr_db:.1f} dB. Smaller errors and a higher PSNR mean that the "
        "model agrees with itself; they do not prove that the path is true."
    )
