// The camera as the content: the page takes the next camera image as soon as it has shown the result of the last.
import { scaled } from "./images.js";

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "environment" };

export const cameraButton = (button, picker, take, say) => {
  const { video, canvas } = picker;
  let stream = null;

  const stop = () => {
    const last = video.readyState >= 2 ? scaled(video, SIZE.width.ideal) : null;
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    video.hidden = true;
    canvas.hidden = false;
    button.ariaPressed = false;
    button.textContent = "Live camera";
    return last;
  };

  // Stops the camera and keeps its last image as the content.
  const freeze = () => {
    const last = stop();
    if (last) picker.show(last, "camera");
  };

  const run = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: SIZE });
      video.srcObject = stream;
      await video.play();
    } catch (error) {
      stop();
      return say(`No camera: ${error.message}. Allow it in the browser, or open a file.`, true);
    }
    const own = stream;
    own.getVideoTracks()[0].addEventListener("ended", freeze);
    video.hidden = false;
    canvas.hidden = true;
    picker.mark("camera"); // marks no example
    button.ariaPressed = true;
    button.textContent = "Stop the camera";
    while (stream === own) {
      if (video.readyState >= 2) await take("content", video, "camera");
      await new Promise(requestAnimationFrame); // pauses while the page is hidden
    }
  };

  button.addEventListener("click", () => (stream ? freeze() : run()));
  picker.box.addEventListener("chosen", () => stream && stop()); // a different content stops the camera
};
