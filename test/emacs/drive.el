;;; drive.el --- Emacs dap-mode as a client of the adapter, in batch  -*- lexical-binding: t -*-

;; A client that was written by others, from another reading of the protocol: attaches to the demo kernel, stops at a
;; breakpoint, evaluates, steps, and ends the session. Every step prints a line that the test compares; a step that does
;; not happen within its limit ends Emacs with code 3.
;;
;; Environment: ADAPTER (a JavaScript file), NODE, KD_LINK, SYMBOLS, SOURCE (a C file), LINE (in it), EXPRESSION, SCRATCH.

;;; Code:

(setq user-emacs-directory (concat (getenv "SCRATCH") "/.emacs.d/")
      make-backup-files nil
      auto-save-default nil
      dap-auto-show-output nil
      dap-auto-configure-features nil
      lsp-auto-guess-root t
      dap-breakpoints-file (concat (getenv "SCRATCH") "/breakpoints"))
;; dap-mode reads it without defining it; dap-ui, which has windows, does.
(defvar dap-exception-breakpoints nil)
(require 'dap-mode)

(defun drive-say (&rest parts)
  "Print PARTS as one line on stdout."
  (princ (concat (mapconcat (lambda (part) (format "%s" part)) parts " ") "\n")))

(defun drive-until (condition what)
  "Wait until CONDITION holds; WHAT says in the message what it would have been."
  (let ((end (+ (float-time) 30)))
    (while (and (not (funcall condition)) (< (float-time) end))
      (accept-process-output nil 0.05))
    (unless (funcall condition)
      (drive-say "no" what)
      (kill-emacs 3))))

(defvar drive-stops 0 "How often the kernel has stopped.")
(defvar drive-ended nil "Whether the session has ended.")
(add-hook 'dap-stopped-hook (lambda (_) (setq drive-stops (1+ drive-stops))))
(add-hook 'dap-terminated-hook (lambda (_) (setq drive-ended t)))

(dap-register-debug-provider
 "vmkd"
 (lambda (configuration)
   (plist-put configuration :dap-server-path (list (getenv "NODE") (getenv "ADAPTER")))))

(defun drive-stopped-p (count)
  "Whether the kernel has stopped COUNT times, and its top frame is known."
  (and (>= drive-stops count)
       (dap--cur-session)
       (dap--debug-session-active-frame (dap--cur-session))))

(with-current-buffer (find-file-noselect (getenv "SOURCE"))
  (set-window-buffer (selected-window) (current-buffer))
  (goto-char (point-min))
  (forward-line (1- (string-to-number (getenv "LINE"))))
  (cl-letf (((symbol-function 'lsp-workspace-root) (lambda (&rest _) (file-name-directory (getenv "SOURCE")))))
    (dap-breakpoint-add))
  (dap-debug (list :type "vmkd"
                   :request "attach"
                   :name "Attach to the demo kernel"
                   :link (getenv "KD_LINK")
                   :symbolPath (getenv "SYMBOLS")
                   :breakOnAttach :json-false)))

(drive-until (lambda () (drive-stopped-p 1)) "stop at the breakpoint")
(let* ((session (dap--cur-session))
       (frame (dap--debug-session-active-frame session))
       (answer nil))
  (drive-say "stopped in" (gethash "name" frame) "line" (gethash "line" frame))
  (dap--send-message
   (dap--make-request "evaluate" (list :expression (getenv "EXPRESSION") :frameId (gethash "id" frame) :context "watch"))
   (lambda (response) (setq answer response))
   session)
  (drive-until (lambda () answer) "answer to evaluate")
  (drive-say (getenv "EXPRESSION") "is" (gethash "result" (gethash "body" answer)))
  (dap-next session)
  (drive-until (lambda () (drive-stopped-p 2)) "stop after the step")
  (drive-say "stepped to line" (gethash "line" (dap--debug-session-active-frame session)))
  (dap-disconnect session)
  (drive-until (lambda () (or drive-ended (not (process-live-p (dap--debug-session-proc session))))) "end")
  (drive-say "ended")
  (kill-emacs 0))

;;; drive.el ends here
