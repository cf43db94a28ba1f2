; Every case that the tests compare, for any GIMP. `folder` is defined before this file is loaded.
(define (file name) (string-append folder "/" name))
(define (restore image drawable strength)
  (restore-in RUN-NONINTERACTIVE image drawable strength "" 0 0))
(define (note name text)
  (let ((port (open-output-file (file (string-append name ".txt")))))
    (display text port)
    (close-output-port port)))

; The message of an error, which Script-Fu hands to this hook before it unwinds.
(define message "")
(define unwind *error-hook*)
(define *error-hook* (lambda words (set! message words) (apply unwind words)))

; NAME.png: the photo IN after BODY.
(define (result name in body)
  (let ((image (open-image (file in))))
    (body image (top image))
    (save image (file (string-append name ".png")))
    (gimp-image-delete image)))

; A case in which BODY must fail: NAME-before.png, NAME.png, and the message in NAME.txt.
(define (refused name prepare body)
  (let ((image (open-image (file "rgb.png"))))
    (prepare image (top image))
    (save image (file (string-append name "-before.png")))
    (set! message "no error at all")
    (catch #f (body image (top image)))
    (note name message)
    (save image (file (string-append name ".png")))
    (gimp-image-delete image)))
(define (nothing image layer) #t)

; The expected errors, as a hidden layer above; what is selected stays so. Saved when it is all that there is to see.
(define (uncertain name in output prepare)
  (result name in
    (lambda (image layer)
      (prepare image layer)
      (restore-uncertain RUN-NONINTERACTIVE image layer output)
      (let ((map (top image)))
        (note name
          (string-append
            (number->string (layers image))
            (if (= 0 (car (gimp-item-get-visible map))) " hidden" " shown")
            (if (equal? layer (selected image)) " same" " other")
            (car (gimp-item-get-name map))))
        (gimp-item-set-visible map TRUE)
        (gimp-layer-resize-to-image-size map)
        (save image (file (string-append name "-map.png")))
        (gimp-image-remove-layer image map)))))
(uncertain "uncertain" "rgb.png" 0 nothing)
; Before the case whose result takes the place of this photo.
(uncertain "uncertain-grey" "grey-alpha.png" 0 nothing)
(uncertain "uncertain-new-layer" "rgb16.png" 1 nothing)
(uncertain "uncertain-part" "rgb.png" 0
  (lambda (image layer) (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 20 16 40 32)))

(result "whole" "rgb.png" (lambda (image layer) (restore image layer 1.0)))
(result "alpha" "rgba.png" (lambda (image layer) (restore image layer 1.0)))
(result "grey" "grey.png" (lambda (image layer) (restore image layer 1.0)))
(result "grey-alpha" "grey-alpha.png" (lambda (image layer) (restore image layer 1.0)))
(result "sixteen" "rgb16.png" (lambda (image layer) (restore image layer 1.0)))
(result "half-strength" "rgb.png" (lambda (image layer) (restore image layer 0.5)))
(result "tiles" "rgb.png"
  (lambda (image layer) (restore-in RUN-NONINTERACTIVE image layer 1.0 "" 64 0)))
(result "weights-file" "rgb.png"
  (lambda (image layer) (restore-in RUN-NONINTERACTIVE image layer 1.0 (file "good.safetensors") 0 0)))
(result "last-values" "rgb.png"
  (lambda (image layer) (restore-in RUN-WITH-LAST-VALS image layer 1.0 "" 0 0)))
(result "half-the-noise" "rgb.png" (lambda (image layer) (restore-only RUN-NONINTERACTIVE image layer 0.5)))
(result "no-noise" "rgb.png" (lambda (image layer) (restore-only RUN-NONINTERACTIVE image layer 0.0)))
(result "strength-0" "rgba.png" (lambda (image layer) (restore image layer 0.0)))
(result "strength-0-sixteen" "rgb16.png" (lambda (image layer) (restore image layer 0.0)))

; All precisions: 8-bit linear would lose too much to compare.
(define (in-precision name precision)
  (result name "rgb.png"
    (lambda (image layer)
      (gimp-image-convert-precision image precision)
      (restore image layer 1.0)
      (gimp-image-convert-precision image 150))))
(in-precision "u16-linear" 200)
(in-precision "u32-perceptual" 350)
(in-precision "half" 550)
(in-precision "float-linear" 600)
(in-precision "float-perceptual" 650)
(in-precision "double-linear" 700)

; Other profiles.
(define (profiled name in body)
  (let ((image (open-image (file in))))
    (body image (top image))
    (save-profiled image (file (string-append name ".png")))
    (gimp-image-delete image)))
(profiled "in-adobe" "adobe.png" (lambda (image layer) (restore image layer 1.0)))
(profiled "in-adobe-linear" "adobe.png"
  (lambda (image layer)
    (gimp-image-convert-precision image 600)
    (restore image layer 1.0)
    (gimp-image-convert-precision image 250)))
(profiled "in-adobe-0" "adobe.png" (lambda (image layer) (restore image layer 0.0)))
(profiled "in-adobe-alpha" "adobe-alpha.png" (lambda (image layer) (restore image layer 1.0)))
(profiled "in-grey-1.8" "grey-1.8.png" (lambda (image layer) (restore image layer 1.0)))

; Selections.
(result "rectangle" "rgb.png"
  (lambda (image layer)
    (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 20 16 40 32)
    (restore image layer 1.0)))
(result "feathered" "rgb.png"
  (lambda (image layer)
    (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 24 20 48 32)
    (gimp-selection-feather image 10)
    (restore image layer 1.0)))
(result "offset" "rgb.png"
  (lambda (image layer)
    (offset layer 30 -20)
    (restore image layer 1.0)
    (gimp-image-resize-to-layers image)))
; The selection is the image's: 20, 16 of the layer.
(result "offset-rectangle" "rgb.png"
  (lambda (image layer)
    (gimp-image-resize image 200 200 50 60)
    (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 70 76 40 32)
    (restore image layer 1.0)
    (gimp-selection-none image)
    (gimp-image-resize-to-layers image)))

; A new layer: the old one under it is as it was.
(define (new-layer name prepare)
  (result name "rgb.png"
    (lambda (image layer)
      (prepare image layer)
      (restore-in RUN-NONINTERACTIVE image layer 1.0 "" 0 1)
      (note name (number->string (layers image)))
      (note (string-append name "-name") (car (gimp-item-get-name (top image))))
      (save image (file (string-append name "-above.png")))
      (gimp-image-remove-layer image (top image)))))
(new-layer "new-layer" nothing)
(new-layer "new-layer-locked" (lambda (image layer) (lock layer)))
(result "new-layer-strength-0" "rgb.png"
  (lambda (image layer) (restore-in RUN-NONINTERACTIVE image layer 0.0 "" 0 1)))

; A layer mask, which becomes the alpha channel.
(define (mask-case name body)
  (result name "rgb.png"
    (lambda (image layer)
      (gimp-layer-add-alpha layer)
      (let ((mask (car (gimp-layer-create-mask layer 5))))
        (gimp-layer-add-mask layer mask)
        (body image mask)
        (gimp-layer-remove-mask layer 0)))))
(mask-case "mask-before" nothing)
(mask-case "mask" (lambda (image mask) (restore image mask 1.0)))
; A channel, which becomes the selection, in which the layer is cleared.
(result "channel" "rgb.png"
  (lambda (image layer)
    (gimp-image-select-ellipse image CHANNEL-OP-REPLACE 20 10 60 50)
    (gimp-layer-add-alpha layer)
    (let ((channel (new-channel image)))
      (gimp-selection-none image)
      (restore image channel 1.0)
      (gimp-image-select-item image CHANNEL-OP-REPLACE channel)
      (gimp-drawable-edit-clear layer)
      (gimp-image-remove-channel image channel)
      (gimp-selection-none image))))

; What cannot be done.
(refused "indexed" (lambda (image layer) (to-indexed image))
  (lambda (image layer) (restore image layer 1.0)))
(refused "locked" (lambda (image layer) (lock layer))
  (lambda (image layer) (restore image layer 1.0)))
(define (into-group image layer)
  (let ((group (new-group image)))
    (gimp-image-insert-layer image group 0 0)
    (gimp-image-reorder-item image layer group 0)
    group))
(refused "locked-group" (lambda (image layer) (lock (into-group image layer)))
  (lambda (image group) (restore-in RUN-NONINTERACTIVE image (child group) 1.0 "" 0 1)))
(refused "locked-mask"
  (lambda (image layer)
    (gimp-layer-add-alpha layer)
    (gimp-layer-add-mask layer (car (gimp-layer-create-mask layer 5)))
    (lock layer))
  (lambda (image layer) (restore image (get-mask layer) 1.0)))
(refused "group"
  into-group
  (lambda (image group) (restore image group 1.0)))
(refused "outside"
  (lambda (image layer)
    (gimp-image-resize image 300 100 0 0)
    (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 200 0 50 50))
  (lambda (image layer) (restore image layer 1.0)))
(refused "mask-new-layer"
  (lambda (image layer)
    (gimp-layer-add-alpha layer)
    (gimp-layer-add-mask layer (car (gimp-layer-create-mask layer 0))))
  (lambda (image layer) (restore-in RUN-NONINTERACTIVE image (get-mask layer) 1.0 "" 0 1)))
(refused "uncertain-mask"
  (lambda (image layer)
    (gimp-layer-add-alpha layer)
    (gimp-layer-add-mask layer (car (gimp-layer-create-mask layer 0))))
  (lambda (image layer) (restore-uncertain RUN-NONINTERACTIVE image (get-mask layer) 0)))
(define (bad-weights name path)
  (refused name nothing
    (lambda (image layer) (restore-in RUN-NONINTERACTIVE image layer 1.0 path 0 0))))
(bad-weights "weights-missing" (file "missing.safetensors"))
(bad-weights "weights-truncated" (file "truncated.safetensors"))
(bad-weights "weights-other" (file "rgb.png"))
(refused "strength-2" nothing (lambda (image layer) (restore image layer 2.0)))
(refused "noise-2" nothing (lambda (image layer) (restore-only RUN-NONINTERACTIVE image layer 2.0)))
(refused "tile-3" nothing
  (lambda (image layer) (restore-in RUN-NONINTERACTIVE image layer 1.0 "" 3 0)))
(if (defined? 'restore-several) (refused "several"
  (lambda (image layer)
    (gimp-image-insert-layer image (car (gimp-layer-new-from-drawable layer image)) 0 0))
  (lambda (image layer) (restore-several image layer (second image)))))

; All open images: those that can be restored are, and the others named.
(let ((rgb (open-image (file "rgb.png"))) (alpha (open-image (file "rgba.png"))))
  (restore-all 1.0)
  (save rgb (file "all-rgb.png"))
  (save alpha (file "all-alpha.png"))
  (gimp-image-delete rgb)
  (let ((indexed (open-image (file "rgb.png"))))
    (to-indexed indexed)
    (set! message "no error at all")
    (catch #f (restore-all 1.0))
    (note "all" message)
    (save alpha (file "all-twice.png"))
    (gimp-image-delete indexed))
  (gimp-image-delete alpha))
(note "finished" "yes")
