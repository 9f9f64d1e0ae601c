@echo off
rem Runs uninstall.ps1, whatever the execution policy is.
powershell.exe -NoProfile -ExecutionPolicy Bypass -File "%~dp0uninstall.ps1" %*
exit /b %ERRORLEVEL%
