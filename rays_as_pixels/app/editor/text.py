"""Every word of the path editor, in English and Chinese. Sentence case; units in labels."""

from rays_as_pixels.app.editor.text_moves import EASINGS, PRESETS, WARNINGS

Words = dict[str, tuple[str, str]]  # key: English, Chinese

_NAMES: Words = {
    "region": ("Camera path editor", "相机路径编辑器"),
    "toolbar": ("Tools", "工具"),
    "panels": ("Panels", "面板"),
    "tab_start": ("Start", "起点"),
    "tab_keyframes": ("Keyframes", "关键帧"),
    "tab_curve": ("Curve and speed", "曲线与速度"),
    "tab_path": ("Whole path", "整条路径"),
    "tab_lens": ("Lens and target", "镜头与目标"),
    "view": ("View", "视图"),
    "view_persp": ("Perspective", "透视"),
    "view_camera": ("Camera", "相机"),
    "view_top": ("Top", "顶视"),
    "view_side": ("Side", "侧视"),
    "view_front": ("Front", "前视"),
    "enlarge": ("Show {view} large", "放大{view}视图"),
    "swap_side": ("Side or front", "侧视／前视"),
    "canvas_label": (
        "{view} view. Arrow keys move the selection; press ? for all keys",
        "{view}视图。方向键移动所选；按 ? 查看全部快捷键",
    ),
    "units": ("units", "单位"),
    "unit": ("u", "单位"),
    "units_short": ("{value} scene units", "{value} 场景单位"),
    "deg": ("deg", "度"),
    "sec": ("s", "秒"),
    "mm": ("mm", "毫米"),
    "x": ("X right", "X 右"),
    "y": ("Y down", "Y 下"),
    "z": ("Z fwd", "Z 前"),
    "yaw": ("Yaw", "偏航"),
    "pitch": ("Pitch", "俯仰"),
    "roll": ("Roll", "横滚"),
    "time": ("Time", "时间"),
    "hfov": ("hFOV", "水平视场角"),
    "number_short": ("#", "#"),
    "easing": ("Easing", "缓动"),
    "actions": ("Actions", "操作"),
    "table_caption": ("Keyframes of the path, in order of time", "路径关键帧，按时间排序"),
    "cell": ("{name}, keyframe {key}", "{name}，关键帧 {key}"),
    "select_key": ("Select keyframe {key}", "选择关键帧 {key}"),
    "close": ("Close", "关闭"),
    "blank": (
        "Start from the estimated path, a preset or a drawing.",
        "从估计路径、预设或手绘开始。",
    ),
}

_TOOLS: Words = {
    "scope": ("What is edited", "编辑对象"),
    "scope_key": ("Key", "单帧"),
    "scope_path": ("Path", "整体"),
    "tool": ("Tool", "工具"),
    "move": ("Move", "移动"),
    "rotate": ("Rotate", "旋转"),
    "scale": ("Scale the whole path", "缩放整条路径"),
    "axis_lock": ("Axis lock", "轴锁定"),
    "axis_x": ("X", "X"),
    "axis_y": ("Y", "Y"),
    "axis_z": ("Z", "Z"),
    "frame": ("Axes", "坐标轴"),
    "local": ("Local", "局部"),
    "snap": ("Snap to 0.05 units and 5 deg", "吸附到 0.05 单位和 5 度"),
    "keyframes": ("Keyframes", "关键帧"),
    "insert": ("Insert a keyframe at the playhead", "在播放头处插入关键帧"),
    "from_view": ("Add a keyframe from the perspective view", "以透视视图添加关键帧"),
    "duplicate": ("Duplicate keyframe", "复制关键帧"),
    "remove": ("Delete keyframe", "删除关键帧"),
    "earlier": ("Move earlier", "前移"),
    "later": ("Move later", "后移"),
    "history": ("History", "历史"),
    "undo": ("Undo", "撤销"),
    "redo": ("Redo", "重做"),
    "pen": ("Draw a path", "绘制路径"),
    "frame_all": ("Show the whole path", "显示整条路径"),
    "help": ("Keyboard shortcuts", "键盘快捷键"),
    "playback": ("Playback", "播放"),
    "play": ("Play", "播放"),
    "key_before": ("Previous keyframe", "上一关键帧"),
    "key_after": ("Next keyframe", "下一关键帧"),
    "timeline": ("Timeline, frame", "时间线，帧"),
    "frame_of": (
        "Frame {frame} of {last} · {seconds} s",
        "第 {frame} 帧，共 {last} · {seconds} 秒",
    ),
    "legend_speed": ("Speed, up to {value} units/s", "速度，最高 {value} 单位/秒"),
    "legend_turn": ("Turn, up to {value} deg/s", "转速，最高 {value} 度/秒"),
}

_PANELS: Words = {
    "from_path": ("From a path", "从已有路径"),
    "no_sources": (
        "The estimated path of your video appears here once there is one.",
        "估计出视频的路径后会显示在此处。",
    ),
    "from_preset": ("From a preset", "从预设"),
    "preset": ("Move", "运镜"),
    "amount": ("Amount", "幅度"),
    "subject_distance": ("Subject distance", "主体距离"),
    "use_preset": ("Use preset", "使用预设"),
    "draw_path": ("By hand", "手绘"),
    "plane": ("Plane", "平面"),
    "heading": ("Cameras", "相机朝向"),
    "heading_keep": ("keep their heading", "保持朝向"),
    "heading_along": ("look along the line", "沿线前视"),
    "heading_target": ("face the subject", "朝向主体"),
    "draw": ("Draw", "绘制"),
    "draw_note": (
        "Draw one line in the large view. It starts at the first camera. With the keyboard: arrows "
        "move the pen, Space puts it down, Enter finishes, Esc drops it.",
        "在大视图中画一条线，起点为第一台相机。"
        "键盘：方向键移动画笔，空格落笔，回车完成，Esc 放弃。",
    ),
    "shape": ("Shape", "形状"),
    "spline": ("Spline", "样条"),
    "spline_catmull-rom": ("Catmull-Rom", "Catmull-Rom"),
    "spline_linear": ("Straight lines", "直线"),
    "spline_tcb": ("Tension, continuity, bias", "张力、连续性、偏向"),
    "spline_bezier": ("Bézier handles", "贝塞尔手柄"),
    "turning": ("Rotation", "旋转"),
    "turning_squad": ("smooth (SQUAD)", "平滑（SQUAD）"),
    "turning_slerp": ("even per segment (slerp)", "逐段匀速（slerp）"),
    "loop": ("Close the loop", "闭合循环"),
    "closing": ("Way back", "回程"),
    "shape_of_key": ("Shape at the selected keyframe", "所选关键帧的形状"),
    "tension": ("Tension", "张力"),
    "continuity": ("Continuity", "连续性"),
    "bias": ("Bias", "偏向"),
    "handle_in": ("Handle in", "入手柄"),
    "handle_out": ("Handle out", "出手柄"),
    "handles_make": ("Free handles", "自由手柄"),
    "handles_auto": ("Automatic handles", "自动手柄"),
    "speed": ("Speed", "速度"),
    "constant_speed": ("Constant speed", "匀速"),
    "times_even": ("Even key times", "均分时间"),
    "times_by_distance": ("Key times by distance", "按距离分配时间"),
    "speed_note": (
        "At constant speed the path is covered evenly; the times and easings of keyframes rest.",
        "匀速时路径按等距行进，关键帧的时间与缓动不起作用。",
    ),
    "place_and_size": ("Place and size", "位置与大小"),
    "move_all": ("Move", "移动"),
    "axis_of_turn": ("About axis", "绕轴"),
    "angle": ("Angle", "角度"),
    "rotate_all": ("Rotate", "旋转"),
    "factor": ("Factor", "倍数"),
    "scale_all": ("Scale", "缩放"),
    "pivot_note": (
        "The path turns and scales about its first camera, where the video starts.",
        "路径绕第一台相机（视频起点）旋转和缩放。",
    ),
    "form": ("Form", "变形"),
    "reverse": ("Reverse", "反向"),
    "mirror_x": ("Mirror X", "镜像 X"),
    "mirror_y": ("Mirror Y", "镜像 Y"),
    "mirror_z": ("Mirror Z", "镜像 Z"),
    "strength": ("Strength", "强度"),
    "smooth": ("Stabilise", "稳定"),
    "timing": ("Timing", "时间"),
    "frames": ("Frames", "帧数"),
    "duration": ("Duration", "时长"),
    "fps": ("Frames per second", "每秒帧数"),
    "lens_of_key": ("Lens at the selected keyframe", "所选关键帧的镜头"),
    "focal_mm": ("35 mm equivalent", "等效 35 毫米"),
    "lens_for_all": ("Same lens everywhere", "全程同一镜头"),
    "dolly_zoom": ("Dolly zoom", "滑动变焦"),
    "dolly_zoom_apply": ("Hold the subject's size", "保持主体大小"),
    "dolly_zoom_note": (
        "Sets the lens of every other keyframe so that the target, or the subject ahead, keeps the "
        "size it has at the selected one.",
        "调整其他关键帧的镜头，使目标（或前方主体）保持其在所选帧中的大小。",
    ),
    "target": ("Look-at target", "注视目标"),
    "look_at": ("Cameras face a target", "相机朝向目标"),
    "target_select": ("Select the target", "选择目标"),
    "target_bake": ("Write into keyframes", "写入关键帧"),
    "target_note": (
        "The target aims every camera; keyframes keep their roll.",
        "目标决定所有相机的朝向，关键帧只保留横滚。",
    ),
}

_STATUS: Words = {
    "status_empty": ("No path yet", "尚无路径"),
    "status_draft": ("Draft", "草稿"),
    "status_waiting": ("Confirming…", "确认中…"),
    "status_confirmed": ("Confirmed: {count} frames", "已确认：{count} 帧"),
    "status_refused": ("Not confirmed", "未确认"),
    "status_lost": (
        "The server does not answer; the path is not confirmed",
        "服务器无响应，路径未确认",
    ),
    "hint_hash": (
        "Name of this very path: what the model gets carries the same",
        "此路径的标识：模型得到的路径带有相同标识",
    ),
    "retry": ("Try again", "重试"),
    "warnings": ("Where the path leaves what the model was trained on", "路径超出模型训练范围之处"),
    "hint_warning": ("Go to that frame", "转到该帧"),
    "said_no_target": ("There is no target: press T to place one", "没有目标：按 T 放置"),
    "said_undo": ("Undone; {left} steps left", "已撤销，还可撤销 {left} 步"),
    "said_redo": ("Redone; {left} steps left", "已重做，还可重做 {left} 步"),
    "said_nothing_to_undo": ("Nothing to undo", "没有可撤销的操作"),
    "said_nothing_to_redo": ("Nothing to redo", "没有可重做的操作"),
    "said_key": ("Keyframe {key} of {count}", "关键帧 {key} / {count}"),
    "said_tool": ("Tool: {tool}", "工具：{tool}"),
    "said_scope_key": ("Editing one keyframe", "编辑单个关键帧"),
    "said_scope_path": ("Editing the whole path", "编辑整条路径"),
    "said_axis": ("Locked to {axis}", "锁定 {axis} 轴"),
    "said_axis_free": ("All axes", "不锁定轴"),
    "said_snap_on": ("Snapping on", "已开启吸附"),
    "said_snap_off": ("Snapping off", "已关闭吸附"),
    "said_local": ("Axes of the camera", "相机坐标轴"),
    "said_world": ("Axes of the world", "世界坐标轴"),
    "said_look_needs_key": (
        "The playhead is between keyframes: press I to add one here",
        "播放头位于关键帧之间：按 I 在此添加",
    ),
    "said_constant_times": (
        "At constant speed the times follow from the way",
        "匀速时时间由路程决定",
    ),
    "said_end_times": (
        "The first and last keyframes mark the duration: change it under Whole path",
        "首末关键帧决定时长：请在“整条路径”中修改",
    ),
    "said_pen": (
        "Draw a line, or use arrows, Space and Enter",
        "画一条线，或使用方向键、空格和回车",
    ),
    "said_pen_down": ("Pen down", "落笔"),
    "said_pen_up": ("Pen up", "抬笔"),
    "said_pen_dropped": ("Drawing dropped", "已放弃绘制"),
    "said_drawn": ("Drawn: {count} keyframes", "已绘制：{count} 个关键帧"),
    "error_times": (
        "Keyframe {key} and the next are at the same time; give one another time",
        "关键帧 {key} 与下一帧时间相同，请修改其一",
    ),
    "error_turn_on_spot": (
        "At constant speed every segment must move; after keyframe {key} the camera turns on the "
        "spot",
        "匀速时每段都须移动；关键帧 {key} 之后相机原地转动",
    ),
    "error_target_on_path": ("The target lies on the path; move it away", "目标位于路径上，请移开"),
    "error_too_many": ("{most} keyframes are the most", "最多 {most} 个关键帧"),
    "error_last_key": ("A path needs one keyframe", "路径至少需要一个关键帧"),
    "error_factor": ("The factor must be positive", "倍数须为正"),
    "error_duration": (
        "The duration must be positive and there must be two keyframes",
        "时长须为正且至少两个关键帧",
    ),
    "error_dolly_zoom": (
        "The subject is not in front of keyframe {key}, or needs a lens beyond 1 to 170 deg",
        "主体不在关键帧 {key} 前方，或所需视场角超出 1 到 170 度",
    ),
    "error_short_stroke": ("The line is too short; draw a longer one", "线太短，请画长一些"),
    "error_hfov": (
        "The field of view must lie between 1 and 170 deg",
        "视场角须在 1 到 170 度之间",
    ),
    "error_tcb": (
        "Tension, continuity and bias lie between -1 and 1",
        "张力、连续性、偏向须在 -1 到 1 之间",
    ),
    "error_strength": ("The strength lies between 0 and 1", "强度须在 0 到 1 之间"),
    "error_frames": ("Frames must be a whole number from 2 to 1000", "帧数须为 2 到 1000 的整数"),
    "error_number": ("That is no number", "这不是数字"),
    "error_cloud": ("The point cloud did not load", "点云加载失败"),
}

_KEYS: Words = {
    "help_mouse": (
        "Drag: turn the view. Shift or right button: pan. Click a view, then scroll: zoom. "
        "Alt-drag a gizmo: copy. Double-click the curve: insert. In the camera view, drag to look "
        "about, scroll to move on.",
        "拖动：旋转视图；Shift 或右键：平移；点击视图后滚动：缩放；Alt 拖动：复制；双击曲线：插入；"
        "在相机视图中拖动可环顾，滚动可前后移动。",
    ),
    "keys_select": ("Select", "选择"),
    "keys_edit": ("Keyframes", "关键帧"),
    "keys_path": ("Path", "路径"),
    "keys_view": ("View and playback", "视图与播放"),
    "key_select": ("Previous, next keyframe", "上一、下一关键帧"),
    "key_scope": ("One keyframe or the whole path", "单帧或整体"),
    "key_tools": ("Move, rotate, scale", "移动、旋转、缩放"),
    "key_axis": ("Lock an axis", "锁定坐标轴"),
    "key_local": ("World or camera axes", "世界或相机坐标轴"),
    "key_snap": ("Snapping", "吸附"),
    "key_nudge": ("Move or turn the selection; Shift for more", "移动或转动所选；Shift 加大步幅"),
    "key_reorder": ("Move the keyframe earlier, later", "关键帧前移、后移"),
    "key_frames": ("One frame back, on", "上一帧、下一帧"),
    "key_ends": ("First, last frame", "首帧、末帧"),
    "key_views": ("Perspective, camera, top, side, front large", "放大透视、相机、顶、侧、前视图"),
    "key_orbit": ("Turn or pan the view", "旋转或平移视图"),
    "key_zoom": ("Zoom in, out", "放大、缩小"),
    "key_escape": ("Cancel; one keyframe, all axes", "取消；单帧，不锁轴"),
}

STRINGS: dict[str, dict[str, str]] = {
    key: {"en": english, "zh": chinese}
    for words in (_NAMES, _TOOLS, _PANELS, _STATUS, _KEYS, EASINGS, PRESETS, WARNINGS)
    for key, (english, chinese) in words.items()
}


def by_language() -> dict[str, dict[str, str]]:
    """Return one dictionary per language, as the browser takes it; it has every word once."""
    return {
        language: {key: words[language] for key, words in STRINGS.items() if words[language]}
        for language in ("en", "zh")
    }
