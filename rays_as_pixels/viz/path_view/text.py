"""Every word of the path view, in each language it speaks.

Sentence case; units in labels. `{name}` stands for a value that the view fills in.
"""

WORDS: dict[str, dict[str, str]] = {
    "region": {"en": "Camera path in 3D", "zh": "三维相机轨迹"},
    "region_help": {
        "en": "Left and right arrow keys step through the frames, Home and End jump, R resets the "
        "view.",
        "zh": "左右方向键逐帧移动，Home 和 End 跳到首尾，R 键重置视角。",
    },
    "empty": {"en": "The camera path appears here.", "zh": "相机轨迹将显示在这里。"},
    "no_plotly": {
        "en": "The 3D view could not be loaded. Reload the page; if that does not help, run "
        "`pip install plotly` where the app runs.",
        "zh": "三维视图无法加载。请刷新页面；若仍无效，请在运行环境中执行 `pip install plotly`。",
    },
    "no_webgl": {
        "en": "This browser shows no WebGL, so the 3D scene is missing; pictures, errors and "
        "numbers are complete.",
        "zh": "此浏览器不支持 WebGL，无法显示三维场景；图片、误差和数值仍然完整。",
    },
    "axis_x": {"en": "X right", "zh": "X 向右"},
    "axis_y": {"en": "Y down", "zh": "Y 向下"},
    "axis_z": {"en": "Z forward", "zh": "Z 向前"},
    "unit_note": {
        "en": "Scene units: median depth of frame 0 = 1. Grid {step}.",
        "zh": "场景单位：第 0 帧深度中位数 = 1。网格间距 {step}。",
    },
    "units": {"en": "scene units", "zh": "场景单位"},
    "time": {"en": "Time (s)", "zh": "时间（秒）"},
    "frame": {"en": "Frame", "zh": "帧"},
    "frame_of": {
        "en": "Frame {frame} of {last}, {time} s",
        "zh": "第 {frame} 帧，共至 {last}，{time} 秒",
    },
    "input_frame": {"en": "input frame {frame}", "zh": "输入第 {frame} 帧"},
    "play": {"en": "Play", "zh": "播放"},
    "pause": {"en": "Pause", "zh": "暂停"},
    "previous": {"en": "Previous frame", "zh": "上一帧"},
    "next": {"en": "Next frame", "zh": "下一帧"},
    "views": {"en": "View", "zh": "视角"},
    "view_reset": {"en": "Reset", "zh": "重置"},
    "view_top": {"en": "Top", "zh": "俯视"},
    "view_side": {"en": "Side", "zh": "侧视"},
    "view_front": {"en": "Front", "zh": "正视"},
    "layers": {"en": "Show", "zh": "显示"},
    "layer_images": {"en": "Pictures", "zh": "图片"},
    "layer_spread": {"en": "Uncertainty", "zh": "不确定度"},
    "layer_cloud": {"en": "Points", "zh": "点云"},
    "layer_ground": {"en": "Grid", "zh": "网格"},
    "cloud_note": {
        "en": "{shown} of {total} points shown.",
        "zh": "显示 {total} 个点中的 {shown} 个。",
    },
    "spread_note": {
        "en": "Tube: root mean square distance between runs from different noise.",
        "zh": "管状区域：不同噪声多次运行之间的均方根距离。",
    },
    "spread_here": {
        "en": "runs differ by {position} units, {rotation} deg",
        "zh": "多次运行相差 {position} 单位、{rotation} 度",
    },
    "rotation_error": {"en": "Rotation error (deg)", "zh": "旋转误差（度）"},
    "rotation_difference": {"en": "Rotation difference (deg)", "zh": "旋转差异（度）"},
    "translation_error": {
        "en": "Translation error (scene units)",
        "zh": "平移误差（场景单位）",
    },
    "translation_difference": {
        "en": "Translation difference (scene units)",
        "zh": "平移差异（场景单位）",
    },
    "error_mean": {"en": "mean {value}", "zh": "平均 {value}"},
    "error_short": {
        "en": "{label}: {rotation} deg, {translation} units off",
        "zh": "{label}：相差 {rotation} 度、{translation} 单位",
    },
    "errors_against": {
        "en": "Difference from “{label}”, both anchored at frame 0",
        "zh": "与“{label}”的差异，两者均以第 0 帧为基准",
    },
    "row_frames": {"en": "Frames", "zh": "视频帧"},
    "row_raxels": {"en": "Raxels", "zh": "光线像素"},
    "row_raxels_help": {
        "en": "Rays as a picture: X, Y, Z of each pixel's ray as red, green, blue.",
        "zh": "把光线画成图像：每个像素光线的 X、Y、Z 分别为红、绿、蓝。",
    },
    "table": {"en": "Numbers of every frame", "zh": "逐帧数值"},
    "col_x": {"en": "X right", "zh": "X 向右"},
    "col_y": {"en": "Y down", "zh": "Y 向下"},
    "col_z": {"en": "Z forward", "zh": "Z 向前"},
    "col_hfov": {"en": "hFOV (deg)", "zh": "水平视场角（度）"},
    "hfov_here": {"en": "hFOV {hfov} deg", "zh": "水平视场角 {hfov} 度"},
    "download": {"en": "Download", "zh": "下载"},
    "download_html": {
        "en": "HTML page, {size}: this view, works offline",
        "zh": "HTML 页面，{size}：当前视图，可离线打开",
    },
    "download_ply": {"en": "PLY mesh of the frusta", "zh": "视锥的 PLY 网格"},
    "download_glb": {"en": "GLB mesh of the frusta", "zh": "视锥的 GLB 网格"},
    "making": {"en": "Preparing the file…", "zh": "正在生成文件…"},
    "saved": {"en": "Saved {name}, {size}.", "zh": "已保存 {name}，{size}。"},
    "failed": {
        "en": "The file could not be made. Reload the page and try again.",
        "zh": "无法生成文件。请刷新页面后重试。",
    },
    "path_estimated": {"en": "Estimated path", "zh": "估计轨迹"},
    "path_shown": {"en": "Camera path", "zh": "相机轨迹"},
    "path_again": {"en": "Estimated again", "zh": "再次估计"},
    "video": {"en": "Video", "zh": "视频"},
}
LANGUAGES = ("en", "zh")
