<#
.SYNOPSIS
  Installs the guest module of vmkd, vmkd.sys, in this virtual machine.

.DESCRIPTION
  Checks first, and changes nothing if anything is in the way. What it changes it notes in
  %ProgramData%\vmkd\undo.json, so that uninstall.ps1 can put it back: boot options, the debugger's settings, the service,
  the driver's file, and the certificate that it made to sign the driver with.

  Run it in the guest, as an administrator:
    powershell -ExecutionPolicy Bypass -File install.ps1 [-Driver FILE] [-DebugPort N] [-Start demand] [-CheckOnly]

.PARAMETER Driver
  The vmkd.sys to install. Default: the one beside this script.
.PARAMETER DebugPort
  The virtual machine's serial port for kernel debugging: 1 for COM1. Default: what is set already, else 1.
.PARAMETER Start
  system: with Windows (default). demand: by “sc start vmkd”.
.PARAMETER CheckOnly
  Says what is in the way and what would be done, and does nothing.
.PARAMETER AcceptBitLocker
  Go on although BitLocker will ask for its recovery key at the next start.
#>
[CmdletBinding()]
param(
  [string]$Driver = (Join-Path $PSScriptRoot 'vmkd.sys'),
  [ValidateRange(1, 4)][int]$DebugPort = 0,
  [ValidateSet('system', 'demand')][string]$Start = 'system',
  [switch]$CheckOnly,
  [switch]$AcceptBitLocker
)

$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2.0
. (Join-Path $PSScriptRoot 'common.ps1')

# --- what is in the way

$problems = New-Object System.Collections.ArrayList
function Add-Problem([string]$what, [string]$next) { [void]$problems.Add("$what`n      $next") }

if (-not (Test-Administrator)) {
  Add-Problem 'This needs an administrator.' 'Start PowerShell with “Run as administrator”, then run it again.'
}
if (-not (Test-Path -LiteralPath $Driver -PathType Leaf)) {
  Add-Problem "There is no $Driver." 'Give the path of vmkd.sys with -Driver.'
}
elseif ((Get-DriverMachine $Driver) -ne (Get-SystemMachine)) {
  Add-Problem "$Driver is for $(Get-DriverMachine $Driver), and this Windows is $(Get-SystemMachine)." 'Take the vmkd.sys of the other folder.'
}
$computer = Get-CimInstance -ClassName Win32_ComputerSystem
if ("$($computer.Manufacturer) $($computer.Model)" -notmatch 'VMware|QEMU|KVM') {
  Add-Problem "This is $($computer.Manufacturer) $($computer.Model), no virtual machine of VMware or QEMU." 'Run it in the guest that is to be debugged.'
}
if (Test-SecureBoot) {
  Add-Problem 'Secure Boot is on: neither kernel debugging nor test signing can be turned on.' 'Power the machine off and turn Secure Boot off in its settings (VMware: Options, Advanced, “Enable secure boot”).'
}
if (Test-MemoryIntegrity) {
  Add-Problem 'Memory integrity (HVCI) is on: the module could not take over the debugger transport.' 'Turn it off: Windows Security, Device security, Core isolation. Then reboot.'
}
if ((Test-BitLocker) -and -not $AcceptBitLocker) {
  Add-Problem "BitLocker protects $env:SystemDrive, and will ask for its recovery key when the boot options change." "Have the key at hand and use -AcceptBitLocker; or first: manage-bde -protectors -disable $env:SystemDrive -RebootCount 1"
}
if (Test-Path -LiteralPath $UndoFile) {
  Add-Problem "It is installed already ($UndoFile)." 'Run uninstall.ps1 first.'
}
if ($problems.Count -gt 0) {
  Write-Host 'Nothing was changed. In the way:'
  $problems | ForEach-Object { Write-Host "  - $_" }
  exit 1
}

# --- what there is to do

$options = Get-StartOptions
$boot = Get-CurrentBootEntry
$debugger = Get-DebuggerSettings
$wanted = if ($DebugPort -ne 0) { $DebugPort } elseif ($debugger.Type -eq 'serial' -and $debugger.Port) { $debugger.Port } else { 1 }
$undo = [ordered]@{
  version = 1
  installed = (Get-Date).ToUniversalTime().ToString('o')
  bootEntry = $boot
  testSigning = Get-BootFlag $boot $TestSigningElement
  debug = Get-BootFlag $boot $DebugElement
  debuggerType = $debugger.Type
  debuggerPort = $debugger.Port
  changedTestSigning = $false
  changedDebug = $false
  changedDebugger = $false
  service = $false
  file = $null
  certificate = $null
}
$changeDebugger = $debugger.Type -ne 'serial' -or $debugger.Port -ne $wanted

Write-Host 'This will:'
if (-not $undo.debug) { Write-Host '  - turn kernel debugging on (bcdedit /debug on)' }
if ($changeDebugger) { Write-Host "  - let it use serial port COM$wanted (bcdedit /dbgsettings serial); it was: $($debugger.Type)" }
if (-not $undo.testSigning) { Write-Host '  - turn test signing on (bcdedit /set testsigning on)' }
if ((Get-AuthenticodeSignature -LiteralPath $Driver).Status -eq 'NotSigned') {
  Write-Host '  - sign a copy of the driver with a certificate made for that, on this machine only'
}
Write-Host "  - copy the driver to $DriverFile, and create the service vmkd (start: $Start)"
if ($CheckOnly) { exit 0 }

# --- doing it; the note is written before each change, so that even a half of it can be undone

New-Item -ItemType Directory -Force -Path (Split-Path $UndoFile) | Out-Null
Save-Undo $undo

$undo.file = $DriverFile
Save-Undo $undo
Copy-Item -LiteralPath $Driver -Destination $DriverFile -Force

if ((Get-AuthenticodeSignature -LiteralPath $DriverFile).Status -eq 'NotSigned') {
  $certificate = New-SelfSignedCertificate -Type CodeSigningCert -Subject "CN=vmkd test signing, $env:COMPUTERNAME" -CertStoreLocation 'Cert:\LocalMachine\My' -HashAlgorithm SHA256 -NotAfter (Get-Date).AddYears(10)
  $undo.certificate = $certificate.Thumbprint
  Save-Undo $undo
  # With test signing on, the kernel wants a signature, and does not ask whose.
  Set-AuthenticodeSignature -LiteralPath $DriverFile -Certificate $certificate -HashAlgorithm SHA256 | Out-Null
  if ((Get-AuthenticodeSignature -LiteralPath $DriverFile).Status -eq 'NotSigned') { throw 'The driver could not be signed. Run uninstall.ps1.' }
}

$undo.service = $true
Save-Undo $undo
Invoke-Tool sc.exe @('create', 'vmkd', 'type=', 'kernel', 'start=', $Start, 'error=', 'ignore', 'binPath=', '\SystemRoot\System32\drivers\vmkd.sys', 'DisplayName=', 'vmkd guest module')

if (-not $undo.testSigning) {
  $undo.changedTestSigning = $true
  Save-Undo $undo
  Invoke-Tool bcdedit.exe @('/set', $boot, 'testsigning', 'on')
}
if ($changeDebugger) {
  $undo.changedDebugger = $true
  Save-Undo $undo
  Invoke-Tool bcdedit.exe @('/dbgsettings', 'serial', "debugport:$wanted", 'baudrate:115200')
}
if (-not $undo.debug) {
  $undo.changedDebug = $true
  Save-Undo $undo
  Invoke-Tool bcdedit.exe @('/set', $boot, 'debug', 'on')
}

if ($options -match '(^|\s)DEBUG(\s|=|$)' -and $options -match 'TESTSIGNING' -and -not $changeDebugger) {
  Invoke-Tool sc.exe @('start', 'vmkd')
  Write-Host 'The module is loaded.'
}
else {
  Write-Host 'Reboot now. The module is loaded with Windows; “sc query vmkd” shows it.'
}
Write-Host 'If it does not start, docs/guest-module.md says what the number means. uninstall.ps1 undoes all of this.'
