/*
 * loader.c: "winload" of the demo kernel. QEMU hands us the images as Multiboot modules; we place ntoskrnl, kdcom and
 * the boot drivers at randomised high addresses, link them with each other, build the page tables and the
 * LOADER_PARAMETER_BLOCK, and jump to KiSystemStartup.
 *
 * Command line: kaslr=off, kaslr=SEED (decimal or 0x hex), demand=NAME, importopt; the rest is the kernel's (LoadOptions).
 * The first module is the kernel, whatever its file name. Modules named vmkondem.sys, NAME, or *.exe after the first
 * stay unloaded: the kernel loads them on demand from the file in memory.
 */
#include "loader.h"

static LOADER_PARAMETER_BLOCK *Block; /* identity-mapped, below 4 GiB */
static ULONG64 KernelTarget(PVOID Pointer) { return Block->PhysicalWindow + (ULONG64)Pointer; }

static BOOLEAN FindLoaded(PVOID Context, PCSTR DllName, PPE_VIEW View)
{
  UNREFERENCED_PARAMETER(Context);
  for (ULONG I = 0; I < Block->ImageCount; I++) {
    PLOADER_IMAGE Image = &Block->Images[I];
    if (!Image->ImagePhysical) continue;
    *View = (PE_VIEW){(PUCHAR)Image->ImagePhysical, (ULONG)Image->SizeOfImage, Image->ImageBase};
    PCSTR Exported = PeExportName(View); /* a renamed kernel still is ntoskrnl.exe to its importers */
    if (PeNamesEqual(Image->Name, DllName) || (Exported && PeNamesEqual(Exported, DllName))) return TRUE;
  }
  return FALSE;
}

static VOID ReportMissing(PVOID Context, PCSTR DllName, PCSTR Symbol)
{
  LoaderPrint("loader: %s needs %s!%s, which is not there\n", ((PLOADER_IMAGE)Context)->Name, DllName, Symbol);
}

static BOOLEAN EndsWith(PCSTR Text, PCSTR End)
{
  ULONG A = 0, B = 0;
  while (Text[A]) A++;
  while (End[B]) B++;
  return A >= B && PeNamesEqual(Text + A - B, End);
}

/* Whether the command line says demand=NAME. */
static BOOLEAN IsOnDemand(PCSTR Name)
{
  static const CHAR Switch[] = "demand=";
  for (PCSTR Option = Block->LoadOptions; *Option; Option++) {
    ULONG I = 0, Length = 0;
    while (Switch[I] && Option[I] == Switch[I]) I++;
    if (Switch[I]) continue;
    while (Name[Length] && Option[I + Length] == Name[Length]) Length++;
    if (!Name[Length] && (!Option[I + Length] || Option[I + Length] == ' ')) return TRUE;
  }
  return FALSE;
}

static BOOLEAN LoadsAtBoot(ULONG Index)
{
  PCSTR Name = Block->Images[Index].Name;
  return Index == 0 || (!EndsWith(Name, ".exe") && !PeNamesEqual(Name, "vmkondem.sys") && !IsOnDemand(Name));
}

/* Splits [Page, Page + Count) off the loader's own pages when the memory map is handed over: the kernel does that. */
static VOID AddMemory(ULONG Type, ULONG64 Start, ULONG64 End)
{
  ULONG64 First = ROUND_UP(Start, PAGE_SIZE) >> PAGE_SHIFT, Last = End >> PAGE_SHIFT;
  if (Type != LoaderFree) {
    First = Start >> PAGE_SHIFT;
    Last = ROUND_UP(End, PAGE_SIZE) >> PAGE_SHIFT;
  }
  if (First >= Last) return;
  if (Block->MemoryRangeCount == LOADER_MAX_MEMORY_RANGES) LoaderFail("too many memory ranges");
  Block->MemoryRanges[Block->MemoryRangeCount++] =
      (MEMORY_ALLOCATION_DESCRIPTOR){Type, 0, First, Last - First};
  if (Type == LoaderFree && Last - 1 > Block->HighestPhysicalPage) Block->HighestPhysicalPage = Last - 1;
}

static VOID ReadMemoryMap(PMULTIBOOT_INFO Info)
{
  if (!(Info->Flags & MULTIBOOT_HAS_MMAP)) LoaderFail("no memory map");
  ULONG64 At = Info->MmapAddress, End = At + Info->MmapLength;
  while (End - At >= sizeof(MULTIBOOT_MMAP)) {
    PMULTIBOOT_MMAP Entry = (PMULTIBOOT_MMAP)At;
    AddMemory(Entry->Type == 1 ? LoaderFree : LoaderFirmwarePermanent, Entry->Base, Entry->Base + Entry->Length);
    if (Entry->Size < sizeof(MULTIBOOT_MMAP) - 4 || Entry->Size > End - At) LoaderFail("bad memory map");
    At += Entry->Size + 4;
  }
}

static VOID ReadModules(PMULTIBOOT_INFO Info)
{
  PMULTIBOOT_MODULE Module = (PMULTIBOOT_MODULE)(ULONG64)Info->ModulesAddress;
  if (!(Info->Flags & MULTIBOOT_HAS_MODULES) || Info->ModulesCount == 0) LoaderFail("no modules: pass -initrd");
  if (Info->ModulesCount > LOADER_MAX_IMAGES) LoaderFail("too many modules");
  for (ULONG I = 0; I < Info->ModulesCount; I++, Module++) {
    PLOADER_IMAGE Image = &Block->Images[I];
    PCSTR Name = (PCSTR)(ULONG64)Module->Name;
    for (PCSTR C = Name; *C && *C != ' '; C++)
      if (*C == '/' || *C == '\\') Name = C + 1;
    ULONG Length = 0;
    while (Name[Length] && Name[Length] != ' ' && Length < LOADER_MAX_NAME - 1) {
      Image->Name[Length] = Name[Length];
      Length++;
    }
    if (Module->End < Module->Start) LoaderFail("bad module");
    Image->FilePhysical = Module->Start;
    Image->FileSize = Module->End - Module->Start;
    Block->ImageCount++;
  }
}

static VOID ReadCommandLine(PMULTIBOOT_INFO Info)
{
  PCSTR Line = (Info->Flags & MULTIBOOT_HAS_COMMAND_LINE) ? (PCSTR)(ULONG64)Info->CommandLine : "";
  while (*Line && *Line != ' ') Line++; /* the loader's own path */
  while (*Line == ' ') Line++;
  for (ULONG I = 0; Line[I] && I < sizeof(Block->LoadOptions) - 1; I++) Block->LoadOptions[I] = Line[I];
}

/* One KLDR_DATA_TABLE_ENTRY in loader memory, every pointer already a kernel address. */
static VOID AddLoadEntry(PLOADER_IMAGE Image, PIMAGE_NT_HEADERS Nt, BOOLEAN IsDriver)
{
  PKLDR_DATA_TABLE_ENTRY Entry = LoaderAllocate(sizeof(*Entry) + 2 * (sizeof(L"\\SystemRoot\\system32\\DRIVERS\\") +
                                                LOADER_MAX_NAME * sizeof(WCHAR)));
  PWSTR Full = (PWSTR)(Entry + 1);
  PCWSTR Folder = IsDriver ? L"\\SystemRoot\\system32\\DRIVERS\\" : L"\\SystemRoot\\system32\\";
  ULONG Length = 0, FolderLength;
  while (Folder[Length]) {
    Full[Length] = Folder[Length];
    Length++;
  }
  FolderLength = Length;
  for (PCSTR C = Image->Name; *C; C++) Full[Length++] = (UCHAR)*C;
  Entry->FullDllName = (UNICODE_STRING){(USHORT)(Length * 2), (USHORT)(Length * 2 + 2), (PWSTR)KernelTarget(Full)};
  Length -= FolderLength;
  Entry->BaseDllName =
      (UNICODE_STRING){(USHORT)(Length * 2), (USHORT)(Length * 2 + 2), (PWSTR)KernelTarget(Full + FolderLength)};
  IMAGE_DATA_DIRECTORY Exceptions = Nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXCEPTION];
  Entry->DllBase = (PVOID)Image->ImageBase;
  Entry->EntryPoint = (PVOID)(Image->ImageBase + Nt->OptionalHeader.AddressOfEntryPoint);
  Entry->SizeOfImage = (ULONG)Image->SizeOfImage;
  Entry->SizeOfImageNotRounded = Nt->OptionalHeader.SizeOfImage;
  Entry->ExceptionTable = Exceptions.Size ? (PVOID)(Image->ImageBase + Exceptions.VirtualAddress) : NULL;
  Entry->ExceptionTableSize = Exceptions.Size;
  Entry->CheckSum = Nt->OptionalHeader.CheckSum;
  Entry->TimeDateStamp = Nt->FileHeader.TimeDateStamp;
  Entry->Flags = LDRP_SYSTEM_MAPPED | LDRP_ENTRY_PROCESSED;
  Entry->LoadCount = 1;

  PLIST_ENTRY Head = &Block->LoadOrderListHead, Link = &Entry->InLoadOrderLinks;
  PLIST_ENTRY Last = (PLIST_ENTRY)((ULONG64)Head->Blink - Block->PhysicalWindow);
  Link->Flink = (PLIST_ENTRY)KernelTarget(Head);
  Link->Blink = Head->Blink;
  Last->Flink = Head->Blink = (PLIST_ENTRY)KernelTarget(Link);
}

/* Places an image, not yet linked with the others. Images follow each other with random gaps. */
static VOID PlaceImage(ULONG Index, PULONG64 NextBase)
{
  PLOADER_IMAGE Image = &Block->Images[Index];
  PIMAGE_NT_HEADERS Nt = PeHeadersOfFile((PUCHAR)Image->FilePhysical, Image->FileSize);
  if (!Nt) LoaderFail(Image->Name);
  Image->SizeOfImage = ROUND_UP((ULONG64)Nt->OptionalHeader.SizeOfImage, PAGE_SIZE);
  Image->ImagePhysical = (ULONG64)LoaderAllocate(Image->SizeOfImage);
  Image->ImageBase = *NextBase;
  *NextBase += Image->SizeOfImage + PAGE_SIZE * (1 + LoaderRandom(0x400));
  PE_VIEW View = {(PUCHAR)Image->ImagePhysical, (ULONG)Image->SizeOfImage, Image->ImageBase};
  if (!PePlaceImage((PUCHAR)Image->FilePhysical, Image->FileSize, &View)) LoaderFail(Image->Name);
}

static BOOLEAN HasSwitch(PCSTR Switch)
{
  for (PCSTR Option = Block->LoadOptions; *Option; Option++) {
    ULONG I = 0;
    while (Switch[I] && Option[I] == Switch[I]) I++;
    if (!Switch[I] && (!Option[I] || Option[I] == ' ') && (Option == Block->LoadOptions || Option[-1] == ' ')) return TRUE;
  }
  return FALSE;
}

/*
 * As NT from Windows 10 1809 on does with its own images: code that uses an import through its slot gets the address itself.
 *   call [rip + slot]     FF 15 d32          becomes   call function; nop        E8 d32 90
 *   mov reg, [rip + slot] 48|4C 8B m d32     becomes   lea reg, [rip + function] 48|4C 8D m d32
 * NT knows the places from the image's relocations; here they are found by their bytes.
 */
static ULONG OptimiseImports(PPE_VIEW View)
{
  PIMAGE_NT_HEADERS Nt = PeHeadersOfImage(View->Memory, View->Size);
  IMAGE_DATA_DIRECTORY Iat = Nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IAT];
  ULONG Changed = 0;
  for (ULONG Rva = 0; Rva + 7 <= View->Size; Rva++) {
    PUCHAR Code = View->Memory + Rva;
    BOOLEAN Call = Code[0] == 0xFF && Code[1] == 0x15;
    BOOLEAN Load = (Code[0] & 0xFB) == 0x48 && Code[1] == 0x8B && (Code[2] & 0xC7) == 0x05;
    if (!(Call || Load) || !(PePageCharacteristics(View, Rva) & IMAGE_SCN_MEM_EXECUTE)) continue;
    PLONG Field = (PLONG)(Code + (Call ? 2 : 3));
    ULONG64 End = Rva + (Call ? 6 : 7), Slot = End + (ULONG64)(LONG64)*Field;
    if (Slot < Iat.VirtualAddress || Slot + 8 > Iat.VirtualAddress + Iat.Size || (Slot & 7)) continue;
    LONG64 Distance = (LONG64)(*(PULONG64)(View->Memory + Slot) - (View->Base + End - (Call ? 1 : 0)));
    if (Distance != (LONG)Distance) LoaderFail("importopt: an import is too far away");
    if (Call) {
      Code[0] = 0xE8;
      *(PLONG)(Code + 1) = (LONG)Distance;
      Code[5] = 0x90;
    } else {
      Code[1] = 0x8D;
      *Field = (LONG)Distance;
    }
    Changed++;
  }
  return Changed;
}

static VOID LinkImage(ULONG Index)
{
  PLOADER_IMAGE Image = &Block->Images[Index];
  PE_VIEW View = {(PUCHAR)Image->ImagePhysical, (ULONG)Image->SizeOfImage, Image->ImageBase};
  if (!PeResolveImports(&View, FindLoaded, ReportMissing, Image)) LoaderFail("imports");
  if (Index == 0 && HasSwitch("importopt") && !OptimiseImports(&View)) LoaderFail("importopt: nothing to do");
  for (ULONG Rva = 0; Rva < View.Size; Rva += PAGE_SIZE) {
    ULONG Traits = PePageCharacteristics(&View, Rva);
    ULONG64 Bits = PTE_PRESENT | PTE_ACCESSED;
    if (Traits & IMAGE_SCN_MEM_WRITE) Bits |= PTE_WRITE | PTE_DIRTY;
    if (!(Traits & IMAGE_SCN_MEM_EXECUTE)) Bits |= PTE_NO_EXECUTE;
    LoaderMapPage(Block->Cr3, Image->ImageBase + Rva, Image->ImagePhysical + Rva, Bits);
  }
  AddLoadEntry(Image, PeHeadersOfImage(View.Memory, View.Size), EndsWith(Image->Name, ".sys"));
}

static VOID BuildAddressSpace(VOID)
{
  ULONG64 Slots[3] = {0x110, 0x1A0, 0x1ED}; /* kaslr=off: window, system area, page tables */
  if (LoaderRandomised())
    for (ULONG I = 0; I < 3; I++) /* one of the even slots of three disjoint parts of the kernel half */
      Slots[I] = (ULONG64[]){0x110, 0x150, 0x190}[I] + LoaderRandom(0x40);
  Block->PhysicalWindow = 0xFFFF000000000000 | Slots[0] << 39;
  Block->SystemVaBase = 0xFFFF000000000000 | Slots[1] << 39;
  Block->PteBase = 0xFFFF000000000000 | Slots[2] << 39;
  Block->Cr3 = (ULONG64)LoaderAllocate(PAGE_SIZE);
  ((PULONG64)Block->Cr3)[Slots[2]] = Block->Cr3 | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE;

  Block->PhysicalWindowSize = ROUND_UP((Block->HighestPhysicalPage + 1) << PAGE_SHIFT, LARGE_PAGE_SIZE);
  for (ULONG I = 0; I < Block->MemoryRangeCount; I++) {
    PMEMORY_ALLOCATION_DESCRIPTOR Range = &Block->MemoryRanges[I];
    if (Range->MemoryType != LoaderFree) continue;
    ULONG64 At = (Range->BasePage << PAGE_SHIFT) & ~(LARGE_PAGE_SIZE - 1);
    for (; At < (Range->BasePage + Range->PageCount) << PAGE_SHIFT; At += LARGE_PAGE_SIZE)
      LoaderMapLargePage(Block->Cr3, Block->PhysicalWindow + At, At,
                         PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE);
  }
  /* We run at our identity address until the jump; the kernel clears this entry. */
  ((PULONG64)Block->Cr3)[0] = ((PULONG64)LoaderCurrentCr3())[0];
  /* Every kernel slot that will ever be used has its second level now, so processes can share it by copying. */
  LoaderReserveSlot(Block->Cr3, Block->SystemVaBase);
  LoaderReserveSlot(Block->Cr3, KI_USER_SHARED_DATA);
  LoaderReserveSlot(Block->Cr3, IMAGE_AREA_BASE);
}

VOID LoaderMain(PMULTIBOOT_INFO Info)
{
  static LOADER_PARAMETER_BLOCK TheBlock = {.Signature = LOADER_BLOCK_SIGNATURE};
  LoaderInitializeMemory(Info);
  Block = LoaderAllocate(sizeof(*Block));
  *Block = TheBlock;
  Block->OsMajorVersion = LOADER_BLOCK_MAJOR;
  Block->Size = sizeof(*Block);
  ReadMemoryMap(Info);
  ReadModules(Info);
  ReadCommandLine(Info);
  Block->KaslrSeed = LoaderSeedRandom(Block->LoadOptions);
  Block->LoaderFirstPage = LoaderFirstPage();
  BuildAddressSpace();
  Block->LoadOrderListHead.Flink = Block->LoadOrderListHead.Blink = (PLIST_ENTRY)KernelTarget(&Block->LoadOrderListHead);

  ULONG64 NextBase = IMAGE_AREA_BASE + (LoaderRandomised() ? PAGE_SIZE * LoaderRandom(0xF00000) : LARGE_PAGE_SIZE);
  for (ULONG I = 0; I < Block->ImageCount; I++)
    if (LoadsAtBoot(I)) PlaceImage(I, &NextBase);
  for (ULONG I = 0; I < Block->ImageCount; I++)
    if (LoadsAtBoot(I)) LinkImage(I);

  PUCHAR Stack = LoaderAllocate(8 * PAGE_SIZE);
  Block->KernelStack = KernelTarget(Stack + 8 * PAGE_SIZE);
  Block->TrampolinePage = 0x8000; /* free in every PC's memory map; the loader and its modules are above 1 MiB */
  PE_VIEW Kernel = {(PUCHAR)Block->Images[0].ImagePhysical, (ULONG)Block->Images[0].SizeOfImage,
                    Block->Images[0].ImageBase};
  ULONG64 Entry = Kernel.Base + PeHeadersOfImage(Kernel.Memory, Kernel.Size)->OptionalHeader.AddressOfEntryPoint;
  Block->LoaderLastPage = LoaderLastPage();
  LoaderJump(Block->Cr3, Block->KernelStack, Entry, KernelTarget(Block));
}
