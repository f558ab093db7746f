"""Names of easings, presets and warnings.

The English of presets and warnings is that of the library (`trajectories.presets` and
`training_range`), and stands there alone; an empty string here says so.
"""

Words = dict[str, tuple[str, str]]

_EASING_NAMES = {
    "smooth": ("smooth", "平滑经过"),
    "linear": ("linear", "线性"),
    "hold": ("hold, cut", "保持后切换"),
    "sine-in": ("sine in", "正弦缓入"),
    "sine-out": ("sine out", "正弦缓出"),
    "sine-in-out": ("sine in, out", "正弦缓入缓出"),
    "quad-in": ("quad in", "二次缓入"),
    "quad-out": ("quad out", "二次缓出"),
    "quad-in-out": ("quad in, out", "二次缓入缓出"),
    "cubic-in": ("cubic in", "三次缓入"),
    "cubic-out": ("cubic out", "三次缓出"),
    "cubic-in-out": ("cubic in, out", "三次缓入缓出"),
    "smoother": ("smoother", "更平滑"),
}

_PRESETS_ZH = {
    "orbit": ("环绕", "面向主体向右环绕一周。"),
    "arc-left": ("左弧", "面向主体向左弧形移动。"),
    "arc-right": ("右弧", "面向主体向右弧形移动。"),
    "arc-up": ("上弧", "面向主体向上弧形移动。"),
    "arc-down": ("下弧", "面向主体向下弧形移动。"),
    "pendulum": ("钟摆", "围绕主体右摆、左摆再返回。"),
    "helix": ("螺旋上升", "围绕主体旋转并上升，俯视主体。"),
    "dolly-in": ("前推", "向前移动，近处比远处放大得快。"),
    "dolly-out": ("后拉", "向后移动，近处比远处缩小得快。"),
    "truck-left": ("左移", "不转动地向左平移。"),
    "truck-right": ("右移", "不转动地向右平移。"),
    "pedestal-up": ("升", "不俯仰地上升。"),
    "pedestal-down": ("降", "不俯仰地下降。"),
    "pan-left": ("左摇", "原地向左转，无视差。"),
    "pan-right": ("右摇", "原地向右转，无视差。"),
    "tilt-up": ("上摇", "原地向上转，无视差。"),
    "tilt-down": ("下摇", "原地向下转，无视差。"),
    "roll": ("横滚", "绕光轴顺时针倾斜。"),
    "look-around": ("环顾", "原地左看、右看再回正。"),
    "crane-up": ("升臂", "上升并下摇，主体保持居中。"),
    "crane-down": ("降臂", "下降并上摇，主体保持居中。"),
    "slide-left": ("左滑", "左移并转动，主体保持居中。"),
    "slide-right": ("右滑", "右移并转动，主体保持居中。"),
    "circle": ("圆周", "在画面平面内画圆，面向主体。"),
    "spiral": ("螺旋", "在画面平面内画渐宽的螺旋，面向主体。"),
    "lemniscate": ("八字", "画横卧的八字，面向主体。"),
    "pull-back-reveal": ("后拉揭示", "后退并上升，面向主体。"),
    "dolly-zoom": ("滑动变焦", "前推同时变广角：主体大小不变，背景后退。"),
    "zoom-in": ("变焦推近", "缩小水平视场角，相机不动。"),
    "zoom-out": ("变焦拉远", "增大水平视场角，相机不动。"),
    "fly-through": ("穿行", "沿 S 形向前飞行，转弯时倾斜。"),
    "boomerang": ("往返", "前进后折返。"),
    "push-and-pan": ("前推右摇", "前进同时右摇 30 度。"),
    "hand-held": ("手持", "如手持般晃动，每次相同。"),
}

_WARNINGS_ZH = {
    "rotation_per_frame_deg": "第 {frame} 帧处相邻两帧转动 {value} 度，模型最多见过 {limit} 度。"
    "请增加帧数或减小转动。",
    "rotation_total_deg": "第 {frame} 帧偏离首帧 {value} 度，模型最多见过 {limit} 度。请减小转动。",
    "baseline": "第 {frame} 帧离首帧 {value} 倍场景深度，模型最多见过 {limit}。请缩小路径。",
    "step": "第 {frame} 帧处相邻两帧移动 {value} 倍场景深度，模型最多见过 {limit}。"
    "请增加帧数或缩小路径。",
    "hfov_deg": "第 {frame} 帧的水平视场角为 {value} 度，模型的界限是 {limit} 度。",
    "zoom_ratio": "变焦达 {value} 倍（第 {frame} 帧），模型最多见过 {limit} 倍。"
    "请移动相机或减小变焦。",
    "num_frames": "路径有 {value} 帧，最接近的可用帧数是 {limit}。",
}

EASINGS: Words = {f"easing_{name}": words for name, words in _EASING_NAMES.items()}
PRESETS: Words = {
    **{f"preset_{name}": ("", label) for name, (label, _) in _PRESETS_ZH.items()},
    **{f"about_{name}": ("", about) for name, (_, about) in _PRESETS_ZH.items()},
}
WARNINGS: Words = {f"warning_{rule}": ("", sentence) for rule, sentence in _WARNINGS_ZH.items()}
