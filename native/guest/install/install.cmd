@echo off
rem Runs install.ps1 with the same arguments, whatever the execution policy is.
powershell.exe -NoProfile -ExecutionPolicy Bypass -File "%~dp0install.ps1" %*
exit /b %ERRORLEVEL%
