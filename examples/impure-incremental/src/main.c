#include <stdio.h>

#include "count.h"
#include "greeting.h"

int main(void)
{
    printf("%s, %d files!\n", greeting(), count());
    return 0;
}
