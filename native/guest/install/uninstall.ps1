<#
.SYNOPSIS
  Takes the guest module of vmkd out of this virtual machine, and puts back what install.ps1 changed.

.DESCRIPTION
  Only what install.ps1 has noted in %ProgramData%\vmkd\undo.json is touched. A boot option that somebody has changed since
  stays as it is.

  Run it in the guest, as an administrator:
    powershell -ExecutionPolicy Bypass -File uninstall.ps1
#>
[CmdletBinding()]
param()

$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2.0
. (Join-Path $PSScriptRoot 'common.ps1')

if (-not (Test-Administrator)) {
  Write-Host 'This needs an administrator: start PowerShell with “Run as administrator”.'
  exit 1
}
if (-not (Test-Path -LiteralPath $UndoFile)) {
  Write-Host "There is no $UndoFile: nothing was installed by install.ps1, or it has been undone."
  exit 1
}
$undo = Get-Content -LiteralPath $UndoFile -Raw | ConvertFrom-Json
$left = New-Object System.Collections.ArrayList
# One step that fails does not keep the others from being undone.
function Undo-Step([string]$what, [scriptblock]$action) {
  try { & $action; Write-Host "  - $what" } catch { [void]$left.Add("$what`: $($_.Exception.Message)") }
}

Write-Host 'Undone:'
if ($undo.service) {
  Undo-Step 'the service vmkd' {
    if (Get-Service -Name vmkd -ErrorAction SilentlyContinue) {
      & sc.exe stop vmkd | Out-Null # it may not run
      Invoke-Tool sc.exe @('delete', 'vmkd')
    }
  }
}
if ($undo.file) {
  Undo-Step $undo.file { if (Test-Path -LiteralPath $undo.file) { Remove-Item -LiteralPath $undo.file -Force } }
}
if ($undo.certificate) {
  Undo-Step 'the certificate' {
    $path = "Cert:\LocalMachine\My\$($undo.certificate)"
    if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -DeleteKey }
  }
}
if ($undo.changedDebug -and (Get-BootFlag $undo.bootEntry $DebugElement)) {
  Undo-Step 'kernel debugging' { Invoke-Tool bcdedit.exe @('/set', $undo.bootEntry, 'debug', 'off') }
}
if ($undo.changedDebugger -and (Get-DebuggerSettings).Type -eq 'serial') {
  Undo-Step "the debugger's port" {
    if ($undo.debuggerType -and $undo.debuggerType -ne 'unknown') {
      Invoke-Tool bcdedit.exe @('/set', '{dbgsettings}', 'debugtype', $undo.debuggerType)
    }
    if ($undo.debuggerPort) { Invoke-Tool bcdedit.exe @('/set', '{dbgsettings}', 'debugport', "$($undo.debuggerPort)") }
  }
}
if ($undo.changedTestSigning -and (Get-BootFlag $undo.bootEntry $TestSigningElement)) {
  Undo-Step 'test signing' { Invoke-Tool bcdedit.exe @('/set', $undo.bootEntry, 'testsigning', 'off') }
}

if ($left.Count -eq 0) {
  Remove-Item -LiteralPath $UndoFile -Force
  Write-Host 'Reboot to make the boot options take effect.'
  exit 0
}
Write-Host 'Left, and noted for the next try:'
$left | ForEach-Object { Write-Host "  - $_" }
exit 1
