# What install.ps1 and uninstall.ps1 share. Boot options are read from the registry, where they do not depend on the language of
# Windows, and changed by bcdedit.

$UndoFile = Join-Path $env:ProgramData 'vmkd\undo.json'
$DriverFile = Join-Path $env:SystemRoot 'System32\drivers\vmkd.sys'

# Elements of a boot entry: BcdLibraryBoolean_AllowPrereleaseSignatures, BcdOSLoaderBoolean_KernelDebuggerEnabled.
$TestSigningElement = '16000049'
$DebugElement = '260000a0'
# The object with the settings of all debuggers, and its elements.
$DebuggerObject = '{4636856e-540f-4170-a130-a84776f4c654}'
$DebuggerTypeElement = '15000011'
$DebuggerPortElement = '15000013'
$DebuggerTypes = @('serial', '1394', 'usb', 'net', 'local')

function Test-Administrator {
  $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
  (New-Object Security.Principal.WindowsPrincipal $identity).IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

# Runs a program; its failure is ours.
function Invoke-Tool([string]$tool, [string[]]$arguments) {
  $output = & $tool $arguments 2>&1
  if ($LASTEXITCODE -ne 0) { throw "$tool $($arguments -join ' ') failed with $LASTEXITCODE`: $output" }
}

function Save-Undo($undo) {
  $undo | ConvertTo-Json | Set-Content -LiteralPath $UndoFile -Encoding UTF8
}

# “x64”, “x86”, or what else a PE file says.
function Get-DriverMachine([string]$file) {
  $stream = [IO.File]::OpenRead($file)
  try {
    $reader = New-Object IO.BinaryReader $stream
    if ($stream.Length -lt 0x40 -or $reader.ReadUInt16() -ne 0x5A4D) { return 'no program' }
    $stream.Position = 0x3C
    $header = $reader.ReadUInt32()
    if ($header + 6 -gt $stream.Length) { return 'no program' }
    $stream.Position = $header
    if ($reader.ReadUInt32() -ne 0x4550) { return 'no program' }
    switch ($reader.ReadUInt16()) { 0x8664 { 'x64' } 0x14C { 'x86' } 0xAA64 { 'ARM64' } default { 'another processor' } }
  }
  finally { $stream.Dispose() }
}

function Get-SystemMachine {
  $name = $env:PROCESSOR_ARCHITECTURE
  if ($env:PROCESSOR_ARCHITEW6432) { $name = $env:PROCESSOR_ARCHITEW6432 }
  switch ($name) { 'AMD64' { 'x64' } default { $name } }
}

function Test-SecureBoot {
  try { [bool](Confirm-SecureBootUEFI) } catch { $false } # a BIOS has none
}

function Test-MemoryIntegrity {
  try {
    $guard = Get-CimInstance -Namespace 'root\Microsoft\Windows\DeviceGuard' -ClassName Win32_DeviceGuard
    @($guard.SecurityServicesRunning) -contains 2
  }
  catch { $false } # older than Windows 10
}

function Test-BitLocker {
  try {
    $volume = Get-CimInstance -Namespace 'root\cimv2\Security\MicrosoftVolumeEncryption' -ClassName Win32_EncryptableVolume -Filter "DriveLetter='$env:SystemDrive'"
    $null -ne $volume -and $volume.ProtectionStatus -eq 1
  }
  catch { $false } # an edition without it
}

# The options that this Windows was started with.
function Get-StartOptions {
  [string](Get-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control').SystemStartOptions
}

# The identifier of the entry that this Windows was started by.
function Get-CurrentBootEntry {
  $output = & bcdedit.exe /enum '{current}' /v
  if ($LASTEXITCODE -ne 0 -or "$output" -notmatch '\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}') {
    throw 'bcdedit does not say which boot entry this is.'
  }
  $Matches[0]
}

# The bytes of an element, or $null.
function Get-BootElement([string]$object, [string]$element) {
  $path = "HKLM:\BCD00000000\Objects\$object\Elements\$element"
  if (-not (Test-Path -LiteralPath $path)) { return $null }
  (Get-ItemProperty -LiteralPath $path).Element
}

function Get-BootFlag([string]$object, [string]$element) {
  $bytes = Get-BootElement $object $element
  $null -ne $bytes -and @($bytes)[0] -ne 0
}

function Get-DebuggerSettings {
  $type = Get-BootElement $DebuggerObject $DebuggerTypeElement
  $port = Get-BootElement $DebuggerObject $DebuggerPortElement
  $number = if ($null -ne $type) { [int]@($type)[0] } else { 0 }
  @{
    Type = if ($number -lt $DebuggerTypes.Count) { $DebuggerTypes[$number] } else { 'unknown' }
    Port = if ($null -ne $port) { [int]@($port)[0] } else { $null }
  }
}
